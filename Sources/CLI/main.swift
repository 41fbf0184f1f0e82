import Glibc
import NebulaCore
import NebulaRuntime

Signals.watch()
signal(SIGPIPE, SIG_IGN)
signal(SIGXFSZ, SIG_IGN)
exit(await Program.run(Array(CommandLine.arguments.dropFirst())))
