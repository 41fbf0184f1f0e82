internal import CNebulaKernels

/// Checks of text.
public enum UTF8Text {
  /// True when the bytes are well-formed UTF-8.
  public static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count > 0 else { return true }
    return nebula_utf8_valid_prefix(base, bytes.count) == bytes.count
  }
}
