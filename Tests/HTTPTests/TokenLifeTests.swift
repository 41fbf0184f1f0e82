import NebulaCore
import Synchronization
import Testing

@testable import NebulaHTTP

@Suite struct TokenLifeTests {
  let token = AccessToken(value: "one", lifetime: .seconds(3600))

  @Test func usedUntilFiveMinutesBeforeItsEnd() {
    var life = TokenLife()
    #expect(life.decide(now: .zero) == .refresh(fallback: nil))
    life.arrived(token, askedAt: .seconds(100))
    #expect(life.decide(now: .seconds(100 + 3299)) == .use(token))
    #expect(life.decide(now: .seconds(100 + 3300)) == .refresh(fallback: token))
    #expect(life.decide(now: .seconds(100 + 3600)) == .refresh(fallback: nil))
  }

  @Test func aFailedRenewalIsNotTriedForEachRequest() {
    var life = TokenLife()
    life.arrived(token, askedAt: .zero)
    life.failed(now: .seconds(3300))
    #expect(life.decide(now: .seconds(3329)) == .use(token))
    #expect(life.decide(now: .seconds(3330)) == .refresh(fallback: token))
    life.failed(now: .seconds(3599))
    #expect(life.decide(now: .seconds(3600)) == .refresh(fallback: nil))
  }

  @Test func aRefusedOneIsNotUsedAgain() {
    var life = TokenLife()
    life.arrived(token, askedAt: .zero)
    life.refused("another")
    #expect(life.decide(now: .seconds(1)) == .use(token))
    life.refused("one")
    #expect(life.decide(now: .seconds(1)) == .refresh(fallback: nil) && life.hasWorked)
  }

  @Test func shortOnesAreUsedForHalfTheirLife() {
    var life = TokenLife()
    let short = AccessToken(value: "s", lifetime: .seconds(60))
    life.arrived(short, askedAt: .zero)
    #expect(life.decide(now: .seconds(29)) == .use(short))
    #expect(life.decide(now: .seconds(30)) == .refresh(fallback: short))
  }
}

@Suite struct TokenCacheTests {
  /// Gives out numbered tokens, each when it is let.
  final class Source: TokenSource {
    let name = "test"
    let count = Mutex(0)
    let failure = Mutex<NebulaError?>(nil)
    let gate: AsyncStream<Void>
    init(_ gate: AsyncStream<Void>? = nil) { self.gate = gate ?? AsyncStream { $0.finish() } }
    func fetch() async throws -> AccessToken {
      let number = count.withLock { count in
        count += 1
        return count
      }
      for await _ in gate { break }
      if let error = failure.withLock({ $0 }) { throw error }
      return AccessToken(value: "t\(number)", lifetime: .seconds(3600))
    }
  }
  final class Now: Sendable {
    let value = Mutex<Duration>(.zero)
    var clock: Timekeeper {
      Timekeeper(monotonic: { self.value.withLock { $0 } }, wall: { 0 }, sleep: { _ in })
    }
  }

  @Test func manyAskAndOneIsFetched() async throws {
    let (gate, open) = AsyncStream<Void>.makeStream()
    let source = Source(gate)
    let cache = TokenCache(source, clock: Now().clock)
    let values = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<20 { group.addTask { try await cache.token().value } }
      open.yield()
      open.finish()
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(values == ["t1"] && source.count.withLock { $0 } == 1)
  }

  @Test func theOldOneServesWhenTheRenewalFails() async throws {
    let (source, now) = (Source(), Now())
    let cache = TokenCache(source, clock: now.clock)
    #expect(try await cache.token().value == "t1")
    now.value.withLock { $0 = .seconds(3400) }
    source.failure.withLock { $0 = NebulaError(.credentialsUnavailable, "down", remedy: "") }
    #expect(try await cache.token().value == "t1")
    #expect(try await cache.token().value == "t1")
    #expect(source.count.withLock { $0 } == 2)
    now.value.withLock { $0 = .seconds(3700) }
    // it worked before: this may pass
    let error = await #expect(throws: NebulaError.self) { try await cache.token() }
    #expect(error?.isRetryable == true)
    source.failure.withLock { $0 = nil }
    #expect(try await cache.token().value == "t4")
  }

  @Test func whatNeverWorkedIsNotRetried() async throws {
    let source = Source()
    source.failure.withLock { $0 = NebulaError(.credentialsUnavailable, "nobody there", remedy: "") }
    let cache = TokenCache(source, clock: Now().clock)
    let error = await #expect(throws: NebulaError.self) { try await cache.token() }
    #expect(error?.isRetryable == false)
  }
}

@Suite struct LinkLocalTests {
  @Test func onlyForWhoAsksAndOnlyThere() throws {
    #expect(throws: NebulaError.self) { try CheckedURL("http://169.254.169.254/x") }
    let metadata = try CheckedURL("http://169.254.169.254/x", allowsLinkLocal: true)
    #expect(metadata.isLocal)
    for url in ["http://169.255.1.1/", "http://169.254.169.254.evil.net/", "http://10.0.0.1/", "http://metadata/"] {
      #expect(throws: NebulaError.self) { try CheckedURL(url, allowsLinkLocal: true) }
    }
  }
  @Test(arguments: [
    ("127.0.0.1", true), ("127.0.0.1:80", true), ("localhost:10000", true), ("[::1]:1", true), ("[::1]", true),
    ("::1", true), ("10.0.0.1:80", false), ("example.com", false), ("127.0.0.1.evil.net:80", false), ("", false),
  ]) func loopback(host: String, expected: Bool) { #expect(isLoopback(host: host) == expected) }
  @Test func dates() {
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 21 Nov 2026 00:19:33 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"] {
      #expect(HTTPDate(text)?.text == text)
    }
  }
  @Test func percentDecoding() {
    #expect(PercentEncoding.decode("a%2Bb%C3%A9%2g%") == "a+bé%2g%" && PercentEncoding.decode("%+1") == "%+1")
    #expect(PercentEncoding.form([("a", "x y"), ("b", "&=+")]) == "a=x%20y&b=%26%3D%2B")
  }
}
