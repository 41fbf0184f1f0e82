import CProcessStart
import Glibc
import NebulaCore
import NebulaRuntime

nebula_limit_arenas()
// Before anything else: a signal that comes early must not be lost.
Signals.listen()
signal(SIGPIPE, SIG_IGN)
signal(SIGXFSZ, SIG_IGN)
exit(await Program.run(Array(CommandLine.arguments.dropFirst())))
