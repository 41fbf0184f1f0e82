"""A MongoDB stand-in: one process, one replica-set member, change streams over an event log that it can account for.

Read in this order: `values` (BSON bytes and MongoDB's order of values), `eventlog` (tokens, clock, events), `store`
(collections and writes), `changestreams`, `scans`, then `commands` (what a client may say) and `server` (sockets).
`control` lists the commands that exist only here (names begin with `sandbox`), `truth` the dump of what was owed.
"""
