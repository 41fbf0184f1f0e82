internal import CCurl
internal import Glibc
internal import NebulaCore
internal import Synchronization

/// The one thread that all transfers of a client run on: it takes orders from an inbox, lets curl work, tells the
/// callers. Nothing else touches the multi handle, save `curl_multi_wakeup`, which is made for that.
final class TransferLoop: Sendable {
  enum Order: Sendable {
    case start(Transfer)
    case cancel(UInt64)
  }
  private struct Inbox: Sendable {
    var orders: [Order] = []
    var isClosed = false
    /// The thread has ended: the multi handle is gone.
    var isOver = false
  }
  private let inbox = Mutex(Inbox())
  nonisolated(unsafe) private let multi: UnsafeMutableRawPointer  // used under the rule above
  private let options: HTTPClientOptions

  private static let initialised: Void = { _ = nebula_curl_global_init() }()

  init(_ options: HTTPClientOptions) {
    _ = Self.initialised
    guard let multi = curl_multi_init() else { preconditionFailure("libcurl has no memory for a multi handle") }
    self.multi = multi
    self.options = options
  }

  /// Starts the thread; it ends after `close`.
  func run() {
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<TransferLoop>.fromOpaque(argument).takeRetainedValue().loop()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(status == 0, "no thread could be started: \(status)")
    pthread_detach(thread)
  }

  /// Hands over an order; false when the loop takes none any more.
  func submit(_ order: Order) -> Bool {
    inbox.withLock { inbox in
      guard !inbox.isClosed else { return false }
      inbox.orders.append(order)
      curl_multi_wakeup(multi)
      return true
    }
  }

  /// Ends every transfer, then the thread.
  func close() {
    inbox.withLock { inbox in
      inbox.isClosed = true
      if !inbox.isOver { curl_multi_wakeup(multi) }
    }
  }

  // MARK: The thread

  private func loop() {
    var work = TransferQueue(perHost: options.maxConnectionsPerHost)
    while true {
      let (orders, isClosed) = inbox.withLock { inbox in
        let orders = inbox.orders
        inbox.orders = []
        return (orders, inbox.isClosed)
      }
      for order in orders { obey(order, &work) }
      if isClosed { break }
      var running: Int32 = 0
      curl_multi_perform(multi, &running)
      collect(&work)
      startWaiting(&work)
      curl_multi_poll(multi, nil, 0, 60_000, nil)
    }
    end(&work)
  }

  private func obey(_ order: Order, _ work: inout TransferQueue) {
    switch order {
    case .start(let transfer): work.enqueue(transfer)
    case .cancel(let id):
      guard let (transfer, handle) = work.remove(id) else { return }  // it has ended by itself
      drop(transfer, handle, .failure(CancellationError()))
    }
    startWaiting(&work)
  }

  private func startWaiting(_ work: inout TransferQueue) {
    while let transfer = work.next() {
      guard let handle = transfer.start(options) else {
        work.failedToStart(transfer)
        continue
      }
      work.started(transfer, handle)
      curl_multi_add_handle(multi, handle)
    }
  }

  private func collect(_ work: inout TransferQueue) {
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle else { continue }
      let code = nebula_curl_message_result(message)
      guard let context = nebula_curl_get_private(handle) else { continue }
      let id = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().id
      guard let (transfer, _) = work.remove(id) else { continue }
      drop(transfer, handle, transfer.result(code))
    }
  }

  private func drop(
    _ transfer: Transfer, _ handle: UnsafeMutableRawPointer?, _ result: Result<HTTPResponse, any Error>
  ) {
    if let handle { curl_multi_remove_handle(multi, handle) }
    transfer.release()
    transfer.finish(result)
  }

  private func end(_ work: inout TransferQueue) {
    for (transfer, handle) in work.removeAll() { drop(transfer, handle, .failure(HTTPClient.closed)) }
    inbox.withLock { inbox in
      inbox.isOver = true
      curl_multi_cleanup(multi)
    }
  }
}
