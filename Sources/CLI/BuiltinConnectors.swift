import NebulaCore

/// The one list of what is built in (DESIGN §10).
let builtinConnectors: [Connector] = []
