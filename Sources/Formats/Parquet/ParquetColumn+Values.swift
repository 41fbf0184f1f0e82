internal import CNebulaKernels
public import NebulaCore

/// Values that need a closer look.
extension ParquetColumn {
  /// An integer of a column that is no plain 64 bits.
  @usableFromInline func append(otherInteger value: Int64) throws(NebulaError) {
    switch type {
    case .int32, .date:
      guard let narrow = Int32(exactly: value) else { throw misfit("the number \(value)") }
      put(narrow)
    case .decimal(let precision, let scale):
      let (unscaled, overflow) = Int128(value).multipliedReportingOverflow(by: Int128(DecimalText.power(scale)))
      guard !overflow, unscaled.magnitude < DecimalText.power(precision) else { throw misfit("the number \(value)") }
      put(unscaled: unscaled)
    default: throw misfit("the number \(value)")
    }
  }

  /// Appends a decimal from its text, exactly; refuses what has more digits than the type.
  public func append(decimalText text: UnsafeRawBufferPointer) throws(NebulaError) {
    guard case .decimal(let precision, let scale) = type else { throw misfit(text) }
    let unscaled: Int128
    do { unscaled = try DecimalText.unscaled(text, precision: precision, scale: scale) } catch {
      switch error {
      case .noNumber: throw misfit(text, "which is no number")
      case .tooLarge: throw misfit(text, "which has more digits")
      case .tooFine: throw misfit(text, "which has more digits behind the point")
      }
    }
    put(unscaled: unscaled)
  }

  func put(unscaled: Int128) {
    switch physical {
    case .int32: put(Int32(truncatingIfNeeded: unscaled))
    case .int64: put(Int64(truncatingIfNeeded: unscaled))
    default: put(big: unscaled)
    }
  }

  /// Appends a whole number from its text: `7`, also `7.0` and `7e0`.
  func append(integerText text: UnsafeRawBufferPointer) throws(NebulaError) {
    guard let wide = try? DecimalText.unscaled(text, precision: 19, scale: 0), let value = Int64(exactly: wide) else {
      throw misfit(text)
    }
    try append(int64: value)
  }

  /// Appends a double from its text. What no double can be is refused; what lies between two is rounded, or, `exactly`,
  /// refused too.
  func append(doubleText text: UnsafeRawBufferPointer, exactly: Bool) throws(NebulaError) {
    guard physical == .double else { throw misfit(text) }
    if exactly {
      guard let value = DoubleText.exact(text) else { throw misfit(text, "which has more digits than a double") }
      return put(value.bitPattern)
    }
    // Infinity is what a text means only when it has letters of its own.
    guard let value = DoubleText.nearest(text), value.isFinite || !DecimalText.isNumber(text) else {
      throw misfit(text)
    }
    put(value.bitPattern)
  }

  /// Appends what a text says in the column's type: numbers in decimal (doubles also `NaN`, `Infinity`), `true` and
  /// `false`, dates and times in ISO 8601, binary in base64, JSON as it is (which is checked), texts as they are.
  public func append(text: UnsafeRawBufferPointer, exactDoubles: Bool = false) throws(NebulaError) {
    switch type {
    case .string: try append(bytes: text)
    case .json:
      if let problem = JSONText.validate(text) { throw misfit(text, problem.reason) }
      try append(validated: text)
    case .binary: try append(base64: text)
    case .boolean:
      let letters = text.count <= 5 ? String(decoding: text, as: UTF8.self).lowercased() : ""
      guard letters == "true" || letters == "false" else { throw misfit(text) }
      try append(boolean: letters == "true")
    case .int32, .int64: try append(integerText: text)
    case .double: try append(doubleText: text, exactly: exactDoubles && text.first.map(Self.isNumeric) == true)
    case .decimal: try append(decimalText: text)
    case .date, .timestamp: try append(timeText: text)
    }
  }
  private static func isNumeric(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") <= 9 || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
  }

  func append(timeText text: UnsafeRawBufferPointer) throws(NebulaError) {
    do throws(TimeText.Problem) {
      switch type {
      case .date: put(try TimeText.days(text))
      case .timestamp(let unit, let isUTC): put(try TimeText.timestamp(text, unit, isUTC: isUTC))
      default: throw .noTime
      }
    } catch {
      switch error {
      case .noTime: throw misfit(text, "which ISO 8601 does not know")
      case .wrongZone: throw misfit(text, "whose zone is missing, or one too many")
      case .outOfRange: throw misfit(text, "which is too early or too late")
      case .tooFine: throw misfit(text, "which has more digits than the unit")
      }
    }
  }

  private func append(base64 text: UnsafeRawBufferPointer) throws(NebulaError) {
    guard let bytes = Base64Text.decode(text) else { throw misfit(text, "which is no base64") }
    try bytes.withBytes { (bytes) throws(NebulaError) in try append(validated: bytes) }
  }
}
