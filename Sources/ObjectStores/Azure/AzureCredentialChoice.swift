internal import NebulaCore
internal import NebulaHTTP

/// Which way of logging in the settings mean: a pure value.
///
/// The default chain is Azure's: environment (service principal), workload identity, managed identity. Which one it is
/// follows from what is set; one that is set and fails is an error, never a reason to try the next.
enum AzureCredentialChoice: Sendable, Hashable {
  case sharedKey(String)
  case sas(AzureSAS)
  case application(tenant: String, clientID: String, AzureClientCredentials.Proof)
  case managedIdentity(AzureManagedIdentity.Place, clientID: String?)

  init(_ settings: AzureCredentialSettings, signatureOfAddress: AzureSAS?) throws(NebulaError) {
    let key = given(settings.sharedKey)
    let sas = given(settings.sas).map { AzureSAS($0) } ?? signatureOfAddress
    if let key {
      guard sas == nil else {
        throw Self.bad("Both a shared key and a shared access signature are given", "Give one of them.")
      }
      self = .sharedKey(key)
    } else if let sas {
      guard signatureOfAddress == nil || signatureOfAddress == sas else {
        throw Self.bad("The account's address holds another shared access signature", "Give one of them.")
      }
      guard sas.isSigned else {
        throw Self.bad("The shared access signature has no sig=", "Copy it whole, in the form sv=…&sig=….")
      }
      self = .sas(sas)
    } else {
      self = try Self.chain(settings)
    }
  }

  private static func chain(_ settings: AzureCredentialSettings) throws(NebulaError) -> Self {
    let (tenant, clientID) = (given(settings.tenantID), given(settings.clientID))
    if let secret = given(settings.clientSecret) {
      guard let tenant, let clientID else { throw incomplete("AZURE_CLIENT_SECRET", tenant, clientID) }
      return .application(tenant: tenant, clientID: clientID, .secret(secret))
    }
    if let file = given(settings.federatedTokenFile) {
      guard let tenant, let clientID else { throw incomplete("AZURE_FEDERATED_TOKEN_FILE", tenant, clientID) }
      return .application(tenant: tenant, clientID: clientID, .tokenFile(path: file))
    }
    if let endpoint = given(settings.identityEndpoint), let header = given(settings.identityHeader) {
      return .managedIdentity(.appService(endpoint: endpoint, header: header), clientID: clientID)
    }
    let machine = given(settings.podIdentityHost).map { AzureManagedIdentity.Place.machine(host: $0) }
    return .managedIdentity(machine ?? .machine, clientID: clientID)
  }

  private static func incomplete(_ name: String, _ tenant: String?, _ clientID: String?) -> NebulaError {
    let missing = [tenant == nil ? "AZURE_TENANT_ID" : nil, clientID == nil ? "AZURE_CLIENT_ID" : nil]
      .compactMap { $0 }.joined(separator: " and ")
    return bad("\(name) is set without \(missing)", "Set \(missing) as well.")
  }

  private static func bad(_ message: String, _ remedy: String) -> NebulaError {
    NebulaError(.badProperty, "\(message).", remedy: remedy, exit: .configuration)
  }
}
