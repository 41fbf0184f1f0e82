internal import NebulaCore
internal import Synchronization

/// Sends requests: one thread of libcurl serves them all, connections are kept, certificates always verified.
public final class HTTPClient: Sendable {
  private let loop: TransferLoop
  private let lastID = Atomic<UInt64>(0)

  /// Makes a client and starts its thread.
  public init(_ options: HTTPClientOptions = HTTPClientOptions()) {
    loop = TransferLoop(options)
    loop.run()
  }
  deinit { loop.close() }

  /// Sends `request` and waits for the whole answer, of any status.
  ///
  /// Throws `NebulaError` (`http.…`; `httpRequestMayHaveBeenCarriedOut` tells the ambiguous ones), and
  /// `CancellationError` as soon as the task is cancelled.
  public func perform(_ request: HTTPRequest) async throws -> HTTPResponse {
    try Task.checkCancellation()
    let url = try CheckedURL(request.url, allowsLinkLocal: request.allowsLinkLocal)
    if let problem = request.headers.problem { throw problem }
    guard !request.method.isEmpty, request.method.utf8.allSatisfy({ (65...90).contains($0) }) else {
      throw NebulaError(.httpBadRequest, "The method is not a word in capitals.", remedy: "Report the defect.")
    }
    let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<HTTPResponse, any Error>) in
        let transfer = Transfer(id: id, request: request, url: url) { continuation.resume(with: $0) }
        guard loop.submit(.start(transfer)) else { return continuation.resume(throwing: Self.closed) }
        if Task.isCancelled { _ = loop.submit(.cancel(id)) }  // the handler may have run before there was a transfer
      }
    } onCancel: {
      _ = loop.submit(.cancel(id))
    }
  }

  /// Ends every request with `http.client_closed`, and takes no more.
  public func shutdown() { loop.close() }

  static let closed = NebulaError(.httpClosed, "The client was shut down.", remedy: "Nothing: the program is ending.")
}
