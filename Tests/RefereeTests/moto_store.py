"""moto's S3, with a bucket: the first line on stdout says, in JSON, where it listens; it ends when stdin does."""
import json
import logging
import sys

import boto3
from moto.server import ThreadedMotoServer

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    client.create_bucket(Bucket="bucket")
    print(json.dumps({"port": port}), flush=True)
    sys.stdin.read()
    server.stop()
