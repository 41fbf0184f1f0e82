/// Does the same for each item, all at once, and waits for them; throws the first error. The results come in any order.
@discardableResult
func concurrently<Item: Sendable, Value: Sendable>(
  _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Value
) async throws -> [Value] {
  try await withThrowingTaskGroup(of: Value.self) { group in
    for item in items { group.addTask { try await body(item) } }
    return try await group.reduce(into: []) { $0.append($1) }
  }
}

extension LakeParts {
  /// The same with one request an item: no more at once than there are slots.
  @discardableResult
  func requests<Item: Sendable, Value: Sendable>(
    _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Value
  ) async throws -> [Value] {
    try await concurrently(items) { item in try await request { try await body(item) } }
  }
}
