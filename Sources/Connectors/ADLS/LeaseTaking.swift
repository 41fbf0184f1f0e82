internal import NebulaObjectStores

/// How a file's lease is taken, one step after the other. Never touches a socket.
///
/// The id of the holder before is usually known (from the list of growing files, or the manifest), and is changed into
/// ours in one step, which can never end the lease of a newer writer. Only when it is not known is the lease broken:
/// the fence is asked before, and once more when the lease is held, so that an older writer never keeps one.
struct LeaseTaking: Sendable {
  enum Step: Sendable, Hashable {
    case acquire
    /// Changes the lease with this id into ours.
    case change(from: String)
    /// Asks the fence whether this process is still the newest writer.
    case askFence
    case breakLease
    /// Done: it is held.
    case held
    /// There is no such file.
    case noFile
    /// Somebody keeps taking it.
    case refused
  }
  private var known: [String]
  private var hasBroken = false
  private var isHeld = false
  private(set) var step = Step.acquire

  /// `known` are ids that may hold the lease, the likeliest first; ours is not among them.
  init(known: [String]) { self.known = known }

  /// What acquiring or changing came to.
  mutating func answered(_ outcome: LeaseOutcome) {
    switch outcome {
    case .noFile: step = .noFile
    case .held:
      isHeld = true
      step = hasBroken ? .askFence : .held
    case .heldByOther where hasBroken: step = .refused
    case .heldByOther: step = known.isEmpty ? .askFence : .change(from: known.removeFirst())
    }
  }
  /// The fence is ours.
  mutating func fenceIsOurs() { step = isHeld ? .held : .breakLease }
  /// The lease was broken.
  mutating func broken() {
    hasBroken = true
    step = .acquire
  }
}
