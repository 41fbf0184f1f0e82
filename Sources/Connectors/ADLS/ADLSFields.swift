internal import NebulaCore

extension ADLSOptions {
  static let fields: [Field<Self>] = access + shape + limits

  private static let access: [Field<Self>] = [
    Field(
      "account_url", \.accountURL, required: true, environment: ["ADLS_ACCOUNT_URL"], identity: true,
      example: "https://acme.dfs.core.windows.net",
      "The account's address; a shared access signature may stand behind a ?. Stand-ins: http://127.0.0.1:PORT/ACCOUNT."
    ),
    Field(
      "filesystem", \.filesystem, required: true, environment: ["ADLS_FILESYSTEM"], identity: true, example: "lake",
      "The file system (container); it has to exist."),
    Field(
      "shared_key", \.sharedKey, environment: ["ADLS_SHARED_KEY"], secret: true,
      "The account's key. Without a key and a signature the first that is set counts: a service principal, a workload identity, else a managed identity."
    ),
    Field("sas", \.sas, environment: ["ADLS_SAS"], secret: true, "A shared access signature with r, a, c, w, d, l."),
    Field("tenant_id", \.tenantID, environment: ["AZURE_TENANT_ID"], "Of the service principal or the workload."),
    Field(
      "client_id", \.clientID, environment: ["AZURE_CLIENT_ID"],
      "Of the service principal, the workload, or the user-assigned managed identity."),
    Field(
      "client_secret", \.clientSecret, environment: ["AZURE_CLIENT_SECRET"], secret: true, "Of the service principal."),
    Field(
      "federated_token_file", \.federatedTokenFile, environment: ["AZURE_FEDERATED_TOKEN_FILE"],
      "Workload identity: the file with the assertion; read again each time."),
    Field(
      "authority_host", \.authorityHost, environment: ["AZURE_AUTHORITY_HOST"],
      "Where tokens are made; https://login.microsoftonline.com when not set."),
    Field(
      "pod_identity_host", \.podIdentityHost, environment: ["AZURE_POD_IDENTITY_AUTHORITY_HOST"],
      "Where a managed identity asks for tokens; http://169.254.169.254 when not set."),
    Field(
      "identity_endpoint", \.identityEndpoint, environment: ["IDENTITY_ENDPOINT"],
      "The same on App Service and Container Apps, which set it."),
    Field(
      "identity_header", \.identityHeader, environment: ["IDENTITY_HEADER"], secret: true,
      "Goes with identity_endpoint."),
  ]

  private static let shape: [Field<Self>] = [
    Field(
      "layout", \.layout,
      "rolling: files that grow, appended exactly once; files: complete files only; per_event: one file an event."),
    Field(
      "path", \.path, example: "raw/{db}/{coll}/dt={yyyy}-{mm}-{dd}",
      "Folders: {db} {coll} {namespace} {pipeline}, and {yyyy} {mm} {dd} {hh} of the event time in UTC. When not set: {db}/{coll}/year={yyyy}/month={mm}/day={dd}, with layouts rolling and files also /hour={hh}."
    ),
    Field(
      "file_name", \.fileName, example: "orders-{yyyy}{mm}{dd}",
      "The name without its extension: the same, and with layout per_event {op} {id} {event}. When not set: events-{yyyy}{mm}{dd}-{hh}, with per_event {op}-{id}-{event}. Layout files adds the epoch and a number."
    ),
    Field("format", \.format, "With layout files: jsonl or csv."),
    Field(
      "compression", \.compression,
      "Every flush ends a complete gzip member or zstd frame, so that a growing file can always be read."),
    Field("compression_level", \.compressionLevel, "gzip 0 to 9, zstd -7 to 19; when not set, 1."),
    Field(
      "envelope", \.envelope,
      "true: a change is written with _meta, documentKey, updateDescription and fullDocumentBeforeChange; false: the document alone (a deletion has none: its key)."
    ),
    Field("json", \.json, "How BSON is written as JSON."),
    Field(
      "columns", \.columns,
      "CSV from JSON: the columns. When not set they are the keys of the first record that a run sees."),
  ]

  private static let limits: [Field<Self>] = [
    Field(
      "max_file_bytes", \.maxFileBytes, range: 1...ByteCount(4 << 40), environment: ["MAX_FILE_BYTES"],
      "A file that would grow over this is closed, and the next -part-N begun; as stored."),
    Field(
      "max_appends", \.maxAppends, range: 1...45_000,
      "The same after so many appends: the service allows 50,000 blocks a file."),
    Field(
      "close_after", \.closeAfter, range: .milliseconds(1)...Duration.seconds(86_400),
      "A growing file is closed when its hour has passed and nothing came for it in this time."),
    Field(
      "flush_interval", \.flushInterval, range: .milliseconds(1)...Duration.seconds(86_400),
      "What was read becomes visible at least this often. With layout files each time makes one file a partition: raise it, with pipeline.epoch_age."
    ),
    Field(
      "max_open_files", \.maxOpenFiles, range: 1...100_000,
      "Growing files under lease at once; the one not written for longest is let go, and taken again when needed."),
    Field("parallel_uploads", \.parallelUploads, range: 1...64, "Requests under way at once."),
  ]
}
