import NebulaCore
import NebulaHTTP
import Testing

@testable import NebulaObjectStores

@Suite struct AzureLakeLocationTests {
  @Test(arguments: [
    (
      "https://acct.dfs.core.windows.net", "acct", "https://acct.dfs.core.windows.net",
      "https://acct.blob.core.windows.net"
    ),
    (
      "https://acct.blob.core.windows.net/", "acct", "https://acct.dfs.core.windows.net",
      "https://acct.blob.core.windows.net"
    ),
    (
      "https://acct.z12.dfs.storage.azure.net", "acct", "https://acct.z12.dfs.storage.azure.net",
      "https://acct.z12.blob.storage.azure.net"
    ),
    (
      "acct.dfs.core.usgovcloudapi.net", "acct", "https://acct.dfs.core.usgovcloudapi.net",
      "https://acct.blob.core.usgovcloudapi.net"
    ),
    ("acct", "acct", "https://acct.dfs.core.windows.net", "https://acct.blob.core.windows.net"),
    (
      "http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1",
      "http://127.0.0.1:10000/devstoreaccount1"
    ),
    ("http://[::1]:1/a/", "a", "http://[::1]:1/a", "http://[::1]:1/a"),
    ("http://localhost/a/raw", "a", "http://localhost/a", "http://localhost/a"),
    (
      "https://acct.dfs.core.windows.net/raw", "acct", "https://acct.dfs.core.windows.net",
      "https://acct.blob.core.windows.net"
    ),
  ]) func addresses(url: String, account: String, dfs: String, blob: String) throws {
    let location = try AzureLakeLocation(accountURL: url, fileSystem: "raw")
    #expect(location.account == account && location.dfsEndPoint == dfs && location.blobEndPoint == blob)
    #expect(location.fileSystem == "raw" && location.sas == nil)
  }

  @Test func signatureAndFileSystemInTheAddress() throws {
    let location = try AzureLakeLocation(accountURL: "https://acct.blob.core.windows.net/raw?sv=2023-11-03&sig=a%2Bb")
    #expect(location.fileSystem == "raw" && location.sas == AzureSAS("sv=2023-11-03&sig=a%2Bb"))
    #expect(!"\(location)".contains("a%2Bb"))
  }

  @Test(arguments: [
    "", "http://127.0.0.1:1", "https://", "ftp://acct.dfs.core.windows.net", "http://acct.dfs.core.windows.net",
    "https://acct.dfs.core.windows.net/other", "https://acct.dfs.core.windows.net/raw/deeper", "http://10.0.0.1/acct",
    "acct.dfs.core.windows.net?sig=SECRET", "https://user:SECRET@acct.dfs.core.windows.net",
    "http://localhost.evil.net/acct",
  ]) func badAddresses(_ url: String) {
    let error = #expect(throws: NebulaError.self) { try AzureLakeLocation(accountURL: url, fileSystem: "raw") }
    #expect(error?.exit == .configuration, "\(url)")
    #expect(error?.description.contains("SECRET") == false)
  }

  @Test(arguments: ["", "ab", "Raw", "a_b", "-ab", "ab-", "a--b", String(repeating: "a", count: 64)])
  func badFileSystems(_ name: String) {
    #expect(throws: NebulaError.self) {
      try AzureLakeLocation(accountURL: "https://acct.dfs.core.windows.net", fileSystem: name)
    }
  }

  @Test func momentsOfSignatures() {
    #expect(AzureSAS("?st=2026-11-21&se=2026-11-21T01%3A19%3A35Z&sig=x").end?.seconds == 1_795_223_975)
    #expect(AzureSAS("se=2026-11-21T01:19Z&sig=x").end?.seconds == 1_795_223_940)
    #expect(AzureSAS("?st=2026-11-21&sig=x").start?.seconds == 1_795_219_200)
    #expect(AzureSAS("sig=x").end == nil && AzureSAS("se=soon&sig=x").end == nil)
  }

  @Test func properties() throws {
    let properties = ["token": #"{"_data":"8262=,é"}"#, "empty": "", "_a1": "x,y=z"]
    #expect(AzureProperties.decode(try AzureProperties.encode(properties)) == properties)
    #expect(AzureProperties.decode("") == [:] && AzureProperties.decode("a=?,b") == ["a": "?", "b": ""])
    for name in ["", "1a", "a-b", "a b", "é"] {
      #expect(throws: NebulaError.self) { try AzureProperties.encode([name: ""]) }
    }
  }
}
