import Glibc
import NebulaCore
import NebulaRuntime

// Before any thread exists, so that all of them inherit the mask: one thread of Signals waits for these.
Signals.block()
signal(SIGPIPE, SIG_IGN)
signal(SIGXFSZ, SIG_IGN)
exit(await Program.run(Array(CommandLine.arguments.dropFirst())))
