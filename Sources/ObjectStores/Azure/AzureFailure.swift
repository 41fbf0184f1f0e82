internal import NebulaCore
internal import NebulaHTTP

/// What an answer that an operation did not expect means, for the person who has to act on it.
struct AzureFailure {
  let operation: String
  let key: String?
  let container: String
  let answer: AzureAnswer
  let credential: AzureCredential
  let isRenewedOutside: Bool
  /// Seconds since 1970, by this machine's clock.
  let now: Int

  private var refusal: Refusal {
    Refusal(
      store: "the container \(container)", operation: operation, status: answer.status, code: answer.code,
      words: answer.words)
  }

  /// Whether sending it again may help.
  var kind: RetryPolicy.Failure {
    switch answer.code {
    case "ServerBusy": .throttled
    case "OperationTimedOut", "InternalError", "ContainerBeingDeleted", "FilesystemBeingDeleted", "Md5Mismatch": .server
    default: RetryPolicy.Failure(status: answer.status) ?? .permanent
    }
  }

  var error: NebulaError {
    var error = answer.isAboutCredentials ? credentialError : plainError
    if let key, error.place == nil { error.place = .init(path: key) }
    return error
  }

  private var plainError: NebulaError {
    switch answer.code {
    case "ContainerNotFound", "FilesystemNotFound": return refusal.noContainer
    case "Md5Mismatch": return refusal.error(.objectsCorrupt, "It is sent again.", disposition: .retry(after: nil))
    case "AccountRequiresHttps":
      return refusal.error(.httpInsecure, "Write https:// in the account's address: it takes nothing else.")
    case "InvalidFlushOperation":
      return refusal.error(
        .objectsRefused, "The file was written by the Blob API; remove it, or choose another path for this pipeline.")
    case "PathConflict", "ResourceTypeMismatch", "InvalidSourceOrDestinationResourceType":
      return refusal.error(.objectsBadName, "A part of the path is a file, or a folder has the file's name.")
    case "AccountIsDisabled": return refusal.error(.objectsDenied, "Enable the account in the portal.")
    default: break
    }
    if answer.isLeaseRefusal {
      return refusal.error(
        .objectsLeaseLost, "Another process writes this file. Only one may run this pipeline: stop the other.")
    }
    if answer.isBadPosition {
      return refusal.error(
        .objectsBadPosition, "Find out who else writes to the file; it is never repaired.", exit: .runtime)
    }
    if answer.isConditionFailed {
      return refusal.error(.objectsChanged, "Find out who else writes there; it is never replaced.")
    }
    if answer.isMissing { return refusal.error(.objectsNotFound, "Find out who removed it.") }
    if answer.status == 401 || answer.status == 403 { return denied }
    return kind == .permanent ? refusal.refused : refusal.unavailable
  }

  // MARK: Who asks

  private var credentialError: NebulaError {
    if isRenewedOutside { return refusal.expired }
    // without a date in the answer our own clock has to do
    let server = answer.headers["Date"].flatMap { HTTPDate($0) }?.seconds
    switch credential.kind {
    case .sharedKey: return server.flatMap { skewed($0) } ?? wrongKey
    case .sas(let sas): return signatureError(sas, at: server ?? now)
    case .tokens: return tokenRefused
    }
  }

  /// More than 15 minutes, and no signature with a date in it is accepted.
  private func skewed(_ server: Int) -> NebulaError? {
    let difference = now - server
    guard abs(difference) > 15 * 60 - 5 else { return nil }
    return refusal.error(
      .credentialsClockSkew,
      "This machine's clock is \(abs(difference) / 60) minutes \(difference > 0 ? "ahead of" : "behind") the store's, "
        + "more than the 15 that it allows: set the clock (NTP).")
  }

  private var wrongKey: NebulaError {
    refusal.error(
      .credentialsRefused,
      "Check the shared key: it must be one of this account's two access keys, copied whole; keys "
        + "that were rotated are no longer good.")
  }

  private func signatureError(_ sas: AzureSAS, at seconds: Int) -> NebulaError {
    if let end = sas.end, end.seconds <= seconds {
      return refusal.error(
        .credentialsExpired, "The shared access signature ended at \(end.text): make a new one.",
        disposition: .reconnect)
    }
    if let start = sas.start, start.seconds > seconds {
      return refusal.error(
        .credentialsRefused, "The shared access signature is not good before \(start.text): check the clock.")
    }
    return refusal.error(
      .credentialsRefused,
      "Copy the shared access signature whole, and check that it is for this account and "
        + "container, and that its key or policy was not changed.")
  }

  private var tokenRefused: NebulaError {
    let tenant = answer.headers["WWW-Authenticate"].flatMap { Self.tenant($0) }
    return refusal.error(
      .credentialsRefused,
      "The token of the \(credential.name) is refused, also a new one. "
        + (tenant.map { "The account belongs to the tenant \($0): check AZURE_TENANT_ID." }
          ?? "Check that the identity belongs to the account's tenant."))
  }

  /// `Bearer authorization_uri=https://login.microsoftonline.com/TENANT/oauth2/authorize …`
  private static func tenant(_ header: String) -> String? {
    guard let start = header.firstRange(of: "authorization_uri=") else { return nil }
    let uri = header[start.upperBound...].prefix { !$0.isWhitespace && $0 != "," }.filter { $0 != "\"" }
    let parts = uri.split(separator: "/")
    return parts.count >= 3 ? String(parts[2]) : nil
  }

  // MARK: What is allowed

  private var denied: NebulaError {
    let what: String =
      switch answer.code {
      case "AuthorizationFailure":
        "The account's firewall refuses this address: allow it under Networking, or use a private end point."
      case "AuthorizationProtocolMismatch": "The shared access signature is for https only: write https://."
      case "AuthorizationSourceIPMismatch": "The shared access signature is for other addresses (sip)."
      case "AuthorizationServiceMismatch", "AuthorizationResourceTypeMismatch":
        "The account's signature needs ss=b and srt=co."
      default: needed
      }
    return refusal.error(.objectsDenied, what)
  }

  private var needed: String {
    switch credential.kind {
    case .sas: "The shared access signature needs the permissions racwdl (sp), for the container (sr=c) or the account."
    case .tokens:
      "Give the \(credential.name) the role Storage Blob Data Contributor on the account or the container; it takes some "
        + "minutes to work."
    case .sharedKey: "Check that the account allows shared keys (allowSharedKeyAccess)."
    }
  }
}

extension AzureAnswer {
  /// It is not said who asks, or not believed.
  var isAboutCredentials: Bool {
    switch code {
    case "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation": true
    case "": status == 401 || (status == 403 && response.text.contains("failed to authenticate the request"))
    default: response.text.contains("Signature not valid in the specified time frame")
    }
  }
}
