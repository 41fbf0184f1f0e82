/// The schema as the file's end has it: the tree in prefix order, each element with the number of its children.
extension ParquetSchema {
  func write(_ id: Int, to thrift: inout ThriftWriter) {
    thrift.list(id, of: .structure, count: 1 + fields.reduce(0) { $0 + Self.elements($1.type) })
    thrift.begin()
    thrift.text(4, "schema")
    thrift.i32(5, Int32(fields.count))
    thrift.end()
    for field in fields { Self.write(field.name, field.type, &thrift) }
  }

  private static func elements(_ type: ParquetType) -> Int {
    switch type {
    case .primitive: 1
    case .structure(let fields): fields.reduce(1) { $0 + elements($1.type) }
    case .list(let element): 2 + elements(element)
    }
  }

  private static let optional: Int32 = 1
  private static let repeated: Int32 = 2

  private static func write(_ name: String, _ type: ParquetType, _ thrift: inout ThriftWriter) {
    thrift.begin()
    switch type {
    case .primitive(let primitive):
      thrift.i32(1, primitive.physical.rawValue)
      if primitive.physical == .fixed { thrift.i32(2, Int32(primitive.width)) }
      thrift.i32(3, optional)
      thrift.text(4, name)
      annotate(primitive, &thrift)
      thrift.end()
    case .structure(let fields):
      thrift.i32(3, optional)
      thrift.text(4, name)
      thrift.i32(5, Int32(fields.count))
      thrift.end()
      for field in fields { write(field.name, field.type, &thrift) }
    case .list(let element):
      thrift.i32(3, optional)
      thrift.text(4, name)
      thrift.i32(5, 1)
      thrift.i32(6, 3)
      logical(3, &thrift)
      thrift.end()
      thrift.begin()
      thrift.i32(3, repeated)
      thrift.text(4, "list")
      thrift.i32(5, 1)
      thrift.end()
      write("element", element, &thrift)
    }
  }

  /// Both the older converted type, where there is one, and the logical type that says the same.
  private static func annotate(_ primitive: ParquetPrimitive, _ thrift: inout ThriftWriter) {
    switch primitive {
    case .boolean, .int32, .int64, .double, .binary: break
    case .string, .json(isAnnotated: false):
      thrift.i32(6, 0)
      logical(1, &thrift)
    case .json(isAnnotated: true):
      thrift.i32(6, 19)
      logical(12, &thrift)
    case .date:
      thrift.i32(6, 6)
      logical(6, &thrift)
    case .timestamp(let unit, let isUTC):
      // The converted type means UTC, and knows no nanoseconds.
      if isUTC, unit == .microseconds { thrift.i32(6, 10) }
      logical(8, &thrift) { thrift in
        thrift.bool(1, isUTC)
        thrift.begin(2)
        thrift.begin(unit == .microseconds ? 2 : 3)
        thrift.end()
        thrift.end()
      }
    case .decimal(let precision, let scale):
      thrift.i32(6, 5)
      thrift.i32(7, Int32(scale))
      thrift.i32(8, Int32(precision))
      logical(5, &thrift) { thrift in
        thrift.i32(1, Int32(scale))
        thrift.i32(2, Int32(precision))
      }
    }
  }

  private static func logical(
    _ id: Int, _ thrift: inout ThriftWriter, _ content: (inout ThriftWriter) -> Void = { _ in }
  ) {
    thrift.begin(10)
    thrift.begin(id)
    content(&thrift)
    thrift.end()
    thrift.end()
  }
}
