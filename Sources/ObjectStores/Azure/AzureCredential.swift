public import NebulaCore
public import NebulaHTTP

/// How requests to Azure Storage prove who asks.
public struct AzureCredential: Sendable {
  enum Kind: Sendable {
    case sharedKey(AzureSharedKey)
    case sas(AzureSAS)
    case tokens(TokenCache)
  }
  let kind: Kind

  /// By the account's key: every request is signed.
  public static func sharedKey(_ key: AzureSharedKey) -> Self { Self(kind: .sharedKey(key)) }
  /// By a shared access signature: it stands in every address.
  public static func sas(_ sas: AzureSAS) -> Self { Self(kind: .sas(sas)) }
  /// By tokens of Microsoft Entra ID.
  public static func tokens(_ cache: TokenCache) -> Self { Self(kind: .tokens(cache)) }

  /// Which way it is, for findings and errors: `shared key`, `managed identity` …
  public var name: String {
    switch kind {
    case .sharedKey: "shared key"
    case .sas: "shared access signature"
    case .tokens(let cache): cache.name
    }
  }

  /// What `settings` and the address say, in this order: shared key, signature, then Azure's own chain.
  public init(
    _ settings: AzureCredentialSettings, for location: AzureLakeLocation, context: ObjectStoreContext
  ) throws(NebulaError) {
    try self.init(settings, account: location.account, signatureOfAddress: location.sas, context: context)
  }

  /// The same for an account.
  public init(
    _ settings: AzureCredentialSettings, account: String, signatureOfAddress: AzureSAS? = nil,
    context: ObjectStoreContext
  ) throws(NebulaError) {
    let tokens = TokenContext(client: context.client, clock: context.clock, random: context.random)
    func cached(_ source: some TokenSource) -> Self { .tokens(TokenCache(source, clock: context.clock)) }
    switch try AzureCredentialChoice(settings, signatureOfAddress: signatureOfAddress) {
    case .sharedKey(let text): self = .sharedKey(try AzureSharedKey(account: account, base64: text))
    case .sas(let sas): self = .sas(sas)
    case .application(let tenant, let clientID, let proof):
      self = cached(
        AzureClientCredentials(
          tenant: tenant, clientID: clientID, proof: proof, authorityHost: settings.authorityHost, context: tokens))
    case .managedIdentity(let place, let clientID):
      self = cached(AzureManagedIdentity(place, clientID: clientID, context: tokens))
    }
  }

  private init(kind: Kind) { self.kind = kind }
}
