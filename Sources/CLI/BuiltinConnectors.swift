import ADLSConnector
import FileConnector
import MongoConnector
import NebulaCore
import SnowflakeConnector

/// The one list of what is built in: Swift has no import side effects, so nothing registers itself.
let builtinConnectors: [Connector] = [.fileSource, .mongo, .fileDestination, .snowflakeOptimized, .adls]
