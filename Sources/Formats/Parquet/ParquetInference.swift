public import NebulaCore

/// Finds the columns for JSON objects by looking at some of them.
///
/// Integers that fit become int64; other numbers doubles, if every one of them, integers too, is what a double says
/// exactly; texts text; objects structs; arrays lists. Where values are of several kinds, or of none that has a type (a
/// number with more digits, an object that is always empty, null alone), the column holds their JSON text.
public struct ParquetInference {
  private let root = Observed()
  private let deepest: Int
  private let mostFields: Int

  /// Objects and arrays nested deeper than `deepest`, and objects that together have more than `mostFields` members (as
  /// those have whose names are data), stay JSON text.
  public init(deepest: Int = 16, mostFields: Int = 1000) {
    self.deepest = min(deepest, 32)
    self.mostFields = mostFields
  }

  /// Looks at one object that `JSONText.validate` has accepted.
  public func observe(validated object: UnsafeRawBufferPointer) throws(NebulaError) {
    guard var reader = JSONObjectReader(object) else {
      throw JSONProblem(offset: 0, reason: "no object").error()
    }
    observe(&reader, object, root, depth: 1)
  }

  /// The fields seen so far, in the order in which they came.
  public var fields: [ParquetField] { root.fields }

  private func observe(
    _ reader: inout JSONObjectReader, _ object: UnsafeRawBufferPointer, _ seen: Observed, depth: Int
  ) {
    while let member = reader.next() {
      let key = UnsafeRawBufferPointer(rebasing: object[member.key])
      let name = member.keyIsEscaped ? JSONObjectReader.unescape(key) : String(decoding: key, as: UTF8.self)
      guard let child = seen.child(name, most: depth == 1 ? .max : mostFields) else { return }
      observe(UnsafeRawBufferPointer(rebasing: object[member.value]), member.kind, child, depth: depth)
    }
  }

  private func observe(_ value: UnsafeRawBufferPointer, _ kind: JSONKind, _ seen: Observed, depth: Int) {
    guard !seen.isText else { return }
    switch kind {
    case .null: break
    case .boolean: seen.kinds.insert(.boolean)
    case .string: seen.kinds.insert(.string)
    case .number: seen.add(number: value)
    case .object:
      seen.kinds.insert(.object)
      guard depth < deepest, var reader = JSONObjectReader(value) else { return seen.becomeText() }
      observe(&reader, value, seen, depth: depth + 1)
    case .array:
      seen.kinds.insert(.array)
      guard depth < deepest, var reader = JSONArrayReader(value) else { return seen.becomeText() }
      let element = seen.element ?? Observed()
      seen.element = element
      while let next = reader.next() {
        observe(UnsafeRawBufferPointer(rebasing: value[next.value]), next.kind, element, depth: depth + 1)
      }
    }
    if seen.kinds.count > 1 { seen.becomeText() }
  }
}

/// What was seen at one place.
private final class Observed {
  var kinds = Set<JSONKind>()
  /// True once nothing but JSON text will do.
  private(set) var isText = false
  var element: Observed?
  private var children = [(name: String, seen: Observed)]()
  private var indices = [[UInt8]: Int]()
  private var areIntegers = true
  private var areDoubles = true

  func becomeText() {
    isText = true
    element = nil
    children = []
    indices = [:]
  }

  /// Nil when there are too many.
  func child(_ name: String, most: Int) -> Observed? {
    let bytes = Array(name.utf8)
    if let index = indices[bytes] { return children[index].seen }
    guard children.count < most else {
      becomeText()
      return nil
    }
    let seen = Observed()
    indices[bytes] = children.count
    children.append((name, seen))
    return seen
  }

  func add(number text: UnsafeRawBufferPointer) {
    kinds.insert(.number)
    let isWhole = !text.contains { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }
    let value = isWhole ? try? DecimalText.unscaled(text, precision: 19, scale: 0) : nil
    areIntegers = areIntegers && value.map { Int64(exactly: $0) != nil } == true
    areDoubles = areDoubles && DoubleText.exact(text) != nil
  }

  var fields: [ParquetField] { children.map { ParquetField($0.name, $0.seen.type) } }

  var type: ParquetType {
    let text = ParquetType.primitive(.json(isAnnotated: false))
    guard !isText, kinds.count == 1, let kind = kinds.first else { return text }
    switch kind {
    case .boolean: return .primitive(.boolean)
    case .string: return .primitive(.string)
    case .number: return areIntegers ? .primitive(.int64) : areDoubles ? .primitive(.double) : text
    case .object: return children.isEmpty || hasHardNames ? text : .structure(fields)
    case .array: return .list(element?.type ?? text)
    case .null: return text
    }
  }

  /// Of a struct's fields some readers take no notice of case, and have no name that is empty.
  private var hasHardNames: Bool {
    Set(children.map { $0.name.lowercased() }).count < children.count || children.contains { $0.name.isEmpty }
  }
}
