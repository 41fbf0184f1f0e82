internal import NebulaCore
internal import NebulaObjectStores

extension SnowflakeOptions {
  /// The external stage and the clouds' own ways of logging in.
  static let externalStage: [Field<SnowflakeOptions>] = bucket + amazon + google + azure

  private static let bucket: [Field<SnowflakeOptions>] = [
    Field(
      "use_external_stage", \.useExternalStage,
      "true: files go into a bucket of your own, by this program itself, and stage_name is an external stage there."),
    Field(
      "external_stage_url", \.external.url, example: "s3://acme-landing/nebula",
      "The bucket: s3://BUCKET/PREFIX (also s3gov, s3china, s3compat), gcs://BUCKET/PREFIX or "
        + "azure://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX. A stage that is there has to have the same."),
    Field("external_stage_type", \.external.type, "S3, AZURE or GCS; follows from the address when not set."),
    Field(
      "storage_integration", \.external.integration, example: "ACME_S3",
      "With which Snowflake reads the bucket, when the stage has to be created. Without one, keys that do not expire or "
        + "a shared access signature are written into the stage; Google Cloud Storage always needs one."),
    Field(
      "s3_encryption", \.external.s3Encryption, "How S3 encrypts the files; the bucket's own setting when not set."),
    Field("s3_kms_key_id", \.external.s3KMSKey, "The key for s3_encryption aws:kms; the account's own when not set."),
  ]

  private static let amazon: [Field<SnowflakeOptions>] = [
    Field(
      "aws_access_key_id", \.external.stores.aws.accessKeyID, environment: ["AWS_ACCESS_KEY_ID"],
      "For S3. Without keys the first that is set counts: a web identity, a profile, the container's role, the machine's."
    ),
    Field(
      "aws_secret_access_key", \.external.stores.aws.secretAccessKey, environment: ["AWS_SECRET_ACCESS_KEY"],
      secret: true, "Goes with aws_access_key_id."),
    Field(
      "aws_session_token", \.external.stores.aws.sessionToken, environment: ["AWS_SESSION_TOKEN"], secret: true,
      "Of keys that expire."),
    Field(
      "aws_region", \.external.stores.aws.region, environment: ["AWS_REGION", "AWS_DEFAULT_REGION"],
      example: "eu-central-1", "The bucket's region; found out when not set."),
    Field(
      "aws_endpoint", \.external.stores.aws.endpoint, environment: ["AWS_ENDPOINT_URL_S3"],
      example: "https://minio.example.com",
      "Another service than Amazon's that speaks S3; http:// to loopback addresses only."),
    Field(
      "aws_profile", \.external.stores.aws.profile, environment: ["AWS_PROFILE"], "The profile; default when not set."),
    Field(
      "aws_shared_credentials_file", \.external.stores.aws.credentialsFile,
      environment: ["AWS_SHARED_CREDENTIALS_FILE"], "Profiles' keys; ~/.aws/credentials when not set."),
    Field(
      "aws_config_file", \.external.stores.aws.configFile, environment: ["AWS_CONFIG_FILE"],
      "Profiles; ~/.aws/config when not set."),
    Field(
      "aws_role_arn", \.external.stores.aws.roleARN, environment: ["AWS_ROLE_ARN"], "The role of a web identity."),
    Field(
      "aws_web_identity_token_file", \.external.stores.aws.webIdentityTokenFile,
      environment: ["AWS_WEB_IDENTITY_TOKEN_FILE"], "Its token; read again each time."),
    Field(
      "aws_role_session_name", \.external.stores.aws.roleSessionName, environment: ["AWS_ROLE_SESSION_NAME"],
      "How the role's session is called in Amazon's log."),
    Field(
      "aws_sts_endpoint", \.external.stores.aws.stsEndpoint, environment: ["AWS_ENDPOINT_URL_STS"],
      "Where a web identity is exchanged; the region's own when not set."),
    Field(
      "aws_container_credentials_relative_uri", \.external.stores.aws.containerRelativeURI,
      environment: ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"], "A container's role: ECS sets it."),
    Field(
      "aws_container_credentials_full_uri", \.external.stores.aws.containerFullURI,
      environment: ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], "The same: EKS sets it."),
    Field(
      "aws_container_authorization_token", \.external.stores.aws.containerToken,
      environment: ["AWS_CONTAINER_AUTHORIZATION_TOKEN"], secret: true, "Goes with it."),
    Field(
      "aws_container_authorization_token_file", \.external.stores.aws.containerTokenFile,
      environment: ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"], "The same, in a file; read again each time."),
    Field(
      "aws_metadata_endpoint", \.external.stores.aws.metadataEndpoint,
      environment: ["AWS_EC2_METADATA_SERVICE_ENDPOINT"], "A machine's role; http://169.254.169.254 when not set."),
    Field(
      "aws_metadata_disabled", \.external.stores.aws.metadataDisabled, environment: ["AWS_EC2_METADATA_DISABLED"],
      "true: the machine's role is not asked for."),
  ]

  private static let google: [Field<SnowflakeOptions>] = [
    Field(
      "gcs_credentials_path", \.external.stores.gcs.credentialsPath, environment: ["GOOGLE_APPLICATION_CREDENTIALS"],
      "For Google Cloud Storage: the file of a service account, a user or an external account. When not set: what gcloud "
        + "keeps, else the metadata server."),
    Field(
      "gcs_access_token", \.external.stores.gcs.accessToken, environment: ["CLOUDSDK_AUTH_ACCESS_TOKEN"], secret: true,
      "A token of one's own instead; nobody renews it."),
    Field(
      "gcs_endpoint", \.external.stores.gcs.endpoint, environment: ["STORAGE_EMULATOR_HOST"],
      "Another service than Google's; http:// to loopback addresses only."),
    Field(
      "gcs_config_folder", \.external.stores.gcs.configFolder, environment: ["CLOUDSDK_CONFIG"],
      "gcloud's folder; ~/.config/gcloud when not set."),
    Field(
      "gcs_metadata_host", \.external.stores.gcs.metadataHost, environment: ["GCE_METADATA_HOST"],
      "The metadata server; 169.254.169.254 when not set."),
  ]

  private static let azure: [Field<SnowflakeOptions>] = [
    Field(
      "azure_account_key", \.external.stores.azure.sharedKey, environment: ["AZURE_STORAGE_KEY"], secret: true,
      "For Azure: the account's key. Without a key and a signature the first that is set counts: a service principal, a "
        + "workload identity, else a managed identity."),
    Field(
      "azure_sas_token", \.external.stores.azure.sas, environment: ["AZURE_STORAGE_SAS_TOKEN"], secret: true,
      "A shared access signature with r, c, w, d, l."),
    Field(
      "azure_tenant_id", \.external.stores.azure.tenantID, environment: ["AZURE_TENANT_ID"],
      "Of the service principal or the workload."),
    Field(
      "azure_client_id", \.external.stores.azure.clientID, environment: ["AZURE_CLIENT_ID"],
      "Of the service principal, the workload, or the user-assigned managed identity."),
    Field(
      "azure_client_secret", \.external.stores.azure.clientSecret, environment: ["AZURE_CLIENT_SECRET"], secret: true,
      "Of the service principal."),
    Field(
      "azure_federated_token_file", \.external.stores.azure.federatedTokenFile,
      environment: ["AZURE_FEDERATED_TOKEN_FILE"],
      "Workload identity: the file with the assertion; read again each time."
    ),
    Field(
      "azure_authority_host", \.external.stores.azure.authorityHost, environment: ["AZURE_AUTHORITY_HOST"],
      "Where tokens are made; https://login.microsoftonline.com when not set."),
    Field(
      "azure_pod_identity_host", \.external.stores.azure.podIdentityHost,
      environment: ["AZURE_POD_IDENTITY_AUTHORITY_HOST"],
      "Where a managed identity asks for tokens; http://169.254.169.254 when not set."),
    Field(
      "azure_identity_endpoint", \.external.stores.azure.identityEndpoint, environment: ["IDENTITY_ENDPOINT"],
      "The same on App Service and Container Apps, which set it."),
    Field(
      "azure_identity_header", \.external.stores.azure.identityHeader, environment: ["IDENTITY_HEADER"], secret: true,
      "Goes with azure_identity_endpoint."),
    Field(
      "azure_endpoint", \.external.stores.azureEndpoint, example: "http://127.0.0.1:10000/devstoreaccount1",
      "Another service than Azure's: with the account as its path; http:// to loopback addresses only."),
  ]
}
