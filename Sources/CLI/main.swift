import Glibc
import NebulaCore
import NebulaRuntime

// First of all: a signal that comes early must not be lost.
Signals.listen()
signal(SIGPIPE, SIG_IGN)
signal(SIGXFSZ, SIG_IGN)
exit(await Program.run(Array(CommandLine.arguments.dropFirst())))
