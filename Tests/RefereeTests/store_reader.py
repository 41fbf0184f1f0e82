"""Reads what our stores wrote with the clouds' own clients: JSON on stdin ({"store", "port", "prefix"}) and stdout."""
import hashlib
import json
import sys


def s3(port, prefix):
    import boto3
    import botocore.config
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="AKIDEXAMPLE", region_name="us-east-1",
                          aws_secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                          config=botocore.config.Config(s3={"addressing_style": "path"}, response_checksum_validation="when_required"))
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=prefix, PaginationConfig={"PageSize": 2}):
        for entry in page.get("Contents", []):
            found = client.get_object(Bucket="bucket", Key=entry["Key"])
            yield entry["Key"], entry["Size"], found["Body"].read(), found["Metadata"]


def gcs(port, prefix):
    import google.cloud.storage
    from google.oauth2 import credentials
    client = google.cloud.storage.Client(project="p", credentials=credentials.Credentials("SECRET-token"),
                                         client_options={"api_endpoint": f"http://127.0.0.1:{port}"})
    for blob in client.list_blobs("bucket", prefix=prefix, page_size=2):
        yield blob.name, blob.size, blob.download_as_bytes(), blob.metadata or {}


def azure(port, prefix):
    from azure.storage.blob import ContainerClient
    client = ContainerClient.from_container_url(f"http://127.0.0.1:{port}/azure/container?sv=2023-11-03&sp=rcwd&sig=SECRETSIG%2B%3D")
    for entry in client.list_blobs(name_starts_with=prefix, results_per_page=2):
        blob = client.get_blob_client(entry.name)
        properties = blob.get_blob_properties()
        # a whole blob is read in one piece by a range, which the stand-in tells the length of
        yield entry.name, entry.size, blob.download_blob().readall(), properties.metadata


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    found = {"S3": s3, "GCS": gcs, "AZURE": azure}[asked["store"]](asked["port"], asked["prefix"])
    json.dump([{"key": key, "size": size, "sha256": hashlib.sha256(body).hexdigest(), "metadata": metadata} for key, size, body, metadata in found],
              sys.stdout)
