internal import CNebulaKernels

extension OutputBuffer {
  /// Appends an integer in decimal.
  public func append(decimal number: Int64) {
    withSpare(minimum: 20) { room in
      guard let end = room.baseAddress?.assumingMemoryBound(to: UInt8.self).advanced(by: 20) else { return 0 }
      var rest = number.magnitude
      var at = end
      repeat {
        at -= 1
        let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
        at.pointee = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: remainder)
        rest = quotient
      } while rest > 0
      if number < 0 {
        at -= 1
        at.pointee = UInt8(ascii: "-")
      }
      let count = end - at
      (end - 20).update(from: at, count: count)
      return count
    }
  }

  /// Appends a number below 10^`width` in decimal, with leading zeros up to `width` digits.
  func append(_ number: Int, width: Int) {
    withSpare(minimum: width) { room in
      var rest = number
      for at in stride(from: width - 1, through: 0, by: -1) {
        room[at] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      }
      return width
    }
  }

  /// Appends the shortest text that reads back as the same double, as Python's `repr` has it: `1.0`, `0.0001`, `1e-05`,
  /// `1e+16`, `-0.0`; `NaN`, `Infinity` and `-Infinity` without quotes.
  public func append(shortest number: Double) {
    if number.isNaN { return append("NaN") }
    if number.sign == .minus { append(UInt8(ascii: "-")) }
    if number.isInfinite { return append("Infinity") }
    if number == 0 { return append("0.0") }
    withSpare(minimum: 40) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
      return Self.layOut(number, out)
    }
  }

  private static func layOut(_ number: Double, _ out: UnsafeMutablePointer<UInt8>) -> Int {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 24) { text in
      guard let base = text.baseAddress else { return 0 }
      var exponent: Int32 = 0
      let count = Int(nebula_double_digits(number, base, &exponent))
      let digits = UnsafeRawPointer(base).assumingMemoryBound(to: UInt8.self)
      let point = Int(exponent)
      if point < -4 || point >= 16 { return scientific(digits, count, point, out) }
      return positional(digits, count, point, out)
    }
  }

  private static func positional(
    _ digits: UnsafePointer<UInt8>, _ count: Int, _ exponent: Int, _ out: UnsafeMutablePointer<UInt8>
  ) -> Int {
    var at = 0
    func put(_ byte: UInt8) {
      out[at] = byte
      at += 1
    }
    if exponent < 0 {
      put(UInt8(ascii: "0"))
      put(UInt8(ascii: "."))
      for _ in 0..<(-exponent - 1) { put(UInt8(ascii: "0")) }
      for index in 0..<count { put(digits[index]) }
      return at
    }
    for index in 0...exponent { put(index < count ? digits[index] : UInt8(ascii: "0")) }
    put(UInt8(ascii: "."))
    if count <= exponent + 1 { put(UInt8(ascii: "0")) }
    for index in stride(from: exponent + 1, to: count, by: 1) { put(digits[index]) }
    return at
  }

  private static func scientific(
    _ digits: UnsafePointer<UInt8>, _ count: Int, _ exponent: Int, _ out: UnsafeMutablePointer<UInt8>
  ) -> Int {
    var at = 0
    func put(_ byte: UInt8) {
      out[at] = byte
      at += 1
    }
    put(digits[0])
    if count > 1 { put(UInt8(ascii: ".")) }
    for index in stride(from: 1, to: count, by: 1) { put(digits[index]) }
    put(UInt8(ascii: "e"))
    put(UInt8(ascii: exponent < 0 ? "-" : "+"))
    let magnitude = abs(exponent)
    if magnitude >= 100 { put(UInt8(ascii: "0") + UInt8(magnitude / 100)) }
    put(UInt8(ascii: "0") + UInt8(magnitude / 10 % 10))
    put(UInt8(ascii: "0") + UInt8(magnitude % 10))
    return at
  }
}
