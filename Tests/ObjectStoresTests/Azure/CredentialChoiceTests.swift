import NebulaCore
import NebulaHTTP
import Testing

@testable import NebulaObjectStores

/// Which way of logging in the settings mean.
@Suite struct AzureCredentialChoiceTests {
  func settings(_ change: (inout AzureCredentialSettings) -> Void) -> AzureCredentialSettings {
    var settings = AzureCredentialSettings()
    change(&settings)
    return settings
  }
  func choice(
    sas: AzureSAS? = nil, _ change: (inout AzureCredentialSettings) -> Void
  ) throws -> AzureCredentialChoice {
    try AzureCredentialChoice(settings(change), signatureOfAddress: sas)
  }

  @Test func explicitOnesComeFirst() throws {
    #expect(
      try choice {
        $0.sharedKey = "k"
        $0.tenantID = "t"
        $0.clientID = "c"
        $0.clientSecret = "s"
      } == .sharedKey("k"))
    #expect(try choice { $0.sas = "?sv=1&sig=x" } == .sas(AzureSAS("sv=1&sig=x")))
    #expect(try choice(sas: AzureSAS("sv=1&sig=x")) { _ in } == .sas(AzureSAS("sv=1&sig=x")))
    #expect(try choice(sas: AzureSAS("sv=1&sig=x")) { $0.sas = "?sv=1&sig=x" } == .sas(AzureSAS("sv=1&sig=x")))
  }

  @Test func theChainInAzuresOrder() throws {
    let all = settings {
      $0.tenantID = "t"
      $0.clientID = "c"
      $0.clientSecret = "s"
      $0.federatedTokenFile = "f"
      $0.identityEndpoint = "http://127.0.0.1/msi/token"
      $0.identityHeader = "h"
      $0.podIdentityHost = "http://127.0.0.1"
    }
    var left = all
    func next() throws -> AzureCredentialChoice { try AzureCredentialChoice(left, signatureOfAddress: nil) }
    #expect(try next() == .application(tenant: "t", clientID: "c", .secret("s")))
    left.clientSecret = ""  // an empty variable is an unset one
    #expect(try next() == .application(tenant: "t", clientID: "c", .tokenFile(path: "f")))
    left.federatedTokenFile = nil
    #expect(
      try next()
        == .managedIdentity(.appService(endpoint: "http://127.0.0.1/msi/token", header: "h"), clientID: "c"))
    left.identityHeader = nil
    #expect(try next() == .managedIdentity(.machine(host: "http://127.0.0.1"), clientID: "c"))
    #expect(try choice { _ in } == .managedIdentity(.machine(host: "http://169.254.169.254"), clientID: nil))
  }

  @Test func contradictionsAndHalves() throws {
    let bad: [(AzureSAS?, (inout AzureCredentialSettings) -> Void)] = [
      (
        nil,
        {
          $0.sharedKey = "s3cr3t"
          $0.sas = "sig=s3cr3t"
        }
      ),
      (AzureSAS("sig=s3cr3t"), { $0.sharedKey = "s3cr3t" }),
      (AzureSAS("sig=s3cr3t1"), { $0.sas = "sig=s3cr3t2" }),
      (nil, { $0.sas = "s3cr3t" }),
      (nil, { $0.clientSecret = "s3cr3t" }),
      (
        nil,
        {
          $0.clientSecret = "s3cr3t"
          $0.tenantID = "t"
        }
      ),
      (
        nil,
        {
          $0.federatedTokenFile = "f"
          $0.clientID = "c"
        }
      ),
    ]
    for (sas, change) in bad {
      let error = #expect(throws: NebulaError.self) { try choice(sas: sas, change) }
      #expect(error?.exit == .configuration && error?.description.contains("s3cr3t") == false)
    }
    let missing = #expect(throws: NebulaError.self) { try choice { $0.clientSecret = "s3cr3t" } }
    #expect(missing?.remedy == "Set AZURE_TENANT_ID and AZURE_CLIENT_ID as well.")
  }
}
