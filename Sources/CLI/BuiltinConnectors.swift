import FileConnector
import MongoConnector
import NebulaCore
import SnowflakeConnector

/// The one list of what is built in (DESIGN §10).
let builtinConnectors: [Connector] = [.fileSource, .mongo, .fileDestination, .snowflakeOptimized]
