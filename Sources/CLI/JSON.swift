import FoundationEssentials

/// A value to print as JSON. Secrets are taken out of its texts before it is written, so that it stays valid.
indirect enum JSON: Encodable {
  case text(String)
  case number(Int64)
  case real(Double)
  case bool(Bool)
  case null
  case list([JSON])
  case object([String: JSON])

  static func text(_ text: String?) -> JSON { text.map { .text($0) } ?? .null }
  static func number(_ number: UInt64) -> JSON { .number(Int64(clamping: number)) }
  static func number(_ number: Int64?) -> JSON { number.map { .number($0) } ?? .null }

  /// Any encodable value.
  init(_ value: some Encodable) throws {
    self = try JSONDecoder().decode(Tree.self, from: JSONEncoder().encode(value)).json
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let text): try container.encode(text)
    case .number(let number): try container.encode(number)
    case .real(let number): try container.encode(number)
    case .bool(let bool): try container.encode(bool)
    case .null: try container.encodeNil()
    case .list(let items): try container.encode(items)
    case .object(let members): try container.encode(members)
    }
  }

  func mapTexts(_ change: (String) -> String) -> JSON {
    switch self {
    case .text(let text): .text(change(text))
    case .list(let items): .list(items.map { $0.mapTexts(change) })
    case .object(let members): .object(members.mapValues { $0.mapTexts(change) })
    default: self
    }
  }

  var written: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "null"
  }

  private struct Tree: Decodable {
    let json: JSON
    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        json = .null
      } else if let bool = try? container.decode(Bool.self) {
        json = .bool(bool)
      } else if let number = try? container.decode(Int64.self) {
        json = .number(number)
      } else if let number = try? container.decode(Double.self) {
        json = .real(number)
      } else if let text = try? container.decode(String.self) {
        json = .text(text)
      } else if let items = try? container.decode([Tree].self) {
        json = .list(items.map(\.json))
      } else {
        json = .object(try container.decode([String: Tree].self).mapValues(\.json))
      }
    }
  }
}
