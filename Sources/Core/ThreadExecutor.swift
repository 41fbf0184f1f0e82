internal import Glibc
internal import Synchronization

/// One thread of its own for code that blocks: an actor that runs on it never stalls the cooperative pool, which on
/// two cores has two threads.
public final class ThreadExecutor: SerialExecutor {
  private struct Queue {
    var jobs: [UnownedJob] = []
    var isStopped = false
  }
  private let queue = Mutex(Queue())
  private let wake: UnsafeMutablePointer<sem_t>

  /// Starts the thread.
  public init() {
    wake = .allocate(capacity: 1)
    sem_init(wake, 0, 0)
    var thread = pthread_t()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ThreadExecutor>.fromOpaque(argument).takeRetainedValue().loop()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(status == 0, "no thread could be started: \(status)")
    pthread_detach(thread)
  }
  deinit {
    sem_destroy(wake)
    wake.deallocate()
  }

  /// Called by the concurrency runtime.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.withLock { $0.jobs.append(job) }
    sem_post(wake)
  }

  /// Called by the concurrency runtime.
  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  /// Ends the thread once its queue is empty. The actor must not be used after.
  public func stop() {
    queue.withLock { $0.isStopped = true }
    sem_post(wake)
  }

  private func loop() {
    while true {
      while sem_wait(wake) != 0 {}
      let (jobs, stopped) = queue.withLock { queue in
        let jobs = queue.jobs
        queue.jobs = []
        return (jobs, queue.isStopped)
      }
      for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
      if stopped, jobs.isEmpty { return }
    }
  }
}

// `queue` is a Mutex; `wake` is a semaphore, safe from any thread.
extension ThreadExecutor: @unchecked Sendable {}
