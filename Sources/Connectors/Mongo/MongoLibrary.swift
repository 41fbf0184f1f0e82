internal import CMongoc
internal import CMongocStart  // linking it is all
internal import NebulaCore
internal import Synchronization

/// libmongoc's own beginning and its log, once a process.
enum MongoLibrary {
  private static let logger = Mutex(Logger.silent)
  private static let started: Void = {
    mongoc_init()
    mongoc_log_set_handler(
      { level, domain, message, _ in
        let text = "\(domain.map { String(cString: $0) } ?? "mongoc"): \(message.map { String(cString: $0) } ?? "")"
        let logger = MongoLibrary.logger.withLock { $0 }
        switch level {
        case MONGOC_LOG_LEVEL_ERROR, MONGOC_LOG_LEVEL_CRITICAL, MONGOC_LOG_LEVEL_WARNING: logger.warning(text)
        case MONGOC_LOG_LEVEL_MESSAGE, MONGOC_LOG_LEVEL_INFO: logger.info(text)
        default: logger.debug(text)
        }
      }, nil)
  }()

  /// Does nothing the second time. `mongoc_cleanup` is left to the end of the process.
  static func start() { _ = started }

  /// Where the driver's lines go from now on.
  static func log(to logger: Logger) {
    start()
    Self.logger.withLock { $0 = logger }
  }
}
