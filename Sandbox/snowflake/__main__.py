"""python -m Sandbox.snowflake --port 0 --port-file F --data DIR --user U --password P --public-key FILE"""
import argparse
import json
import os
import signal
import sys
import threading

from .server import Server
from .logins import User
from .settings import Settings
from .world import World


def arguments():
    parser = argparse.ArgumentParser(prog="python -m Sandbox.snowflake", description="A Snowflake stand-in on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", help="written when ready: the port, or JSON with every port when its name ends in .json")
    parser.add_argument("--data", help="folder for tables, stages and certificates (default: a temporary one)")
    parser.add_argument("--user", default="LOADER")
    parser.add_argument("--password", default="sandbox")
    parser.add_argument("--public-key", action="append", default=[], metavar="FILE", help="PEM public key of the user (may be repeated)")
    parser.add_argument("--pat", action="append", default=[], metavar="TOKEN", help="programmatic access token of the user")
    parser.add_argument("--oauth-token", action="append", default=[], metavar="TOKEN")
    parser.add_argument("--passcode", help="the user's: needed with the password")
    parser.add_argument("--oauth-client", action="append", default=[], metavar="ID:SECRET", help="may ask for the user's tokens at /oauth/token-request")
    parser.add_argument("--users", metavar="FILE", help='JSON: [{"name", "password", "public_keys", "tokens", "oauth_tokens", "deny", "passcode"}]')
    parser.add_argument("--database", action="append", default=[], metavar="DB[.SCHEMA]", help="made at start when missing")
    parser.add_argument("--location", choices=["S3", "AZURE", "GCS", "LOCAL_FS"], help="where stages lie (default S3)")
    parser.add_argument("--s3-key", action="append", default=[], metavar="ACCESS:SECRET", help="accepted by the S3 store for any bucket")
    parser.add_argument("--azure-account", action="append", default=[], metavar="NAME:KEY", help="an account of the Azure store, with its key")
    parser.add_argument("--gcs-token", action="append", default=[], metavar="TOKEN", help="bearer token accepted by the GCS store")
    parser.add_argument("--gcs-service-account", metavar="FILE", help="JSON key file of a service account; made when it is not there")
    parser.add_argument("--web-identity-token", action="append", default=[], metavar="TOKEN", help="accepted by STS")
    parser.add_argument("--bucket", action="append", default=[], metavar="NAME", help="the buckets and containers that are there (default: any)")
    parser.add_argument("--faults", metavar="FILE", help="JSON list of fault rules")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting; see README.md")
    parser.add_argument("--tls", action="store_true", help="also serve everything over TLS, with a CA in DATA/ca.pem")
    parser.add_argument("--memory", default="4GB", help="DuckDB's memory limit")
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


def main():
    args = arguments()
    settings = Settings()
    settings.update(dict(s.split("=", 1) for s in args.set))
    if args.location:
        settings.default_location = args.location
    keys = [open(name).read() for name in args.public_key]
    users = [User(args.user, args.password, keys, args.pat, args.oauth_token, passcode=args.passcode)]
    if args.users:
        with open(args.users) as file:
            users += [User.of(u) for u in json.load(file)]
    world = World(args.data and os.path.abspath(args.data), users, settings, args.memory, args.threads)
    for client in args.oauth_client:
        world.sessions.logins.oauth.add(*client.split(":", 1), args.user)
    for wanted in args.database:
        database, _, schema = wanted.partition(".")
        if database not in world.catalog.databases:
            world.catalog.create_database(database)
        if schema and not world.catalog.has_schema(database, schema):
            world.catalog.create_schema(database, schema)
    settings.buckets = ",".join(args.bucket) or settings.buckets
    world.accounts.add({"s3": dict(k.split(":", 1) for k in args.s3_key), "azure": dict(k.split(":", 1) for k in args.azure_account),
                        "gcs_tokens": args.gcs_token, "web_identity_tokens": args.web_identity_token})
    if args.faults:
        with open(args.faults) as file:
            world.faults.set(json.load(file))
    server = Server(world, args.port, args.tls)
    if args.gcs_service_account:
        world.accounts.service_account(args.gcs_service_account, f"http://127.0.0.1:{server.ports['metadata']}/token")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if args.port_file:
        with open(args.port_file + ".new", "w") as file:
            file.write(json.dumps(server.ports) if args.port_file.endswith(".json") else f"{server.ports['api']}\n")
        os.replace(args.port_file + ".new", args.port_file)
    print(f"ready snowflake http://127.0.0.1:{server.ports['api']} " + json.dumps(server.ports), flush=True)
    stop.wait()
    server.close()
    world.close()
    sys.stdout.flush()
    os._exit(0)


main()
