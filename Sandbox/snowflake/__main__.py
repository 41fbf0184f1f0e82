"""python -m Sandbox.snowflake --port 0 --port-file F --data DIR --user U --password P --public-key FILE"""
import argparse
import json
import os
import signal
import sys
import threading

from .server import Server
from .sessions import User
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
    parser.add_argument("--users", metavar="FILE", help='JSON: [{"name", "password", "public_keys", "tokens", "oauth_tokens", "deny"}]')
    parser.add_argument("--database", action="append", default=[], metavar="DB[.SCHEMA]", help="made at start when missing")
    parser.add_argument("--location", choices=["S3", "AZURE", "GCS", "LOCAL_FS"], help="where stages lie (default S3)")
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
    users = [User(args.user, args.password, keys, args.pat, args.oauth_token)]
    if args.users:
        with open(args.users) as file:
            users += [User(u["name"], u.get("password"), u.get("public_keys", ()), u.get("tokens", ()), u.get("oauth_tokens", ()),
                           u.get("deny", ())) for u in json.load(file)]
    world = World(args.data and os.path.abspath(args.data), users, settings, args.memory, args.threads)
    for wanted in args.database:
        database, _, schema = wanted.partition(".")
        if database not in world.catalog.databases:
            world.catalog.create_database(database)
        if schema and not world.catalog.has_schema(database, schema):
            world.catalog.create_schema(database, schema)
        world.catalog.save()
    if args.faults:
        with open(args.faults) as file:
            world.faults.set(json.load(file))
    server = Server(world, args.port, args.tls)
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
