"""python -m Sandbox.azure --port 0 --port-file F --data DIR --filesystem raw"""
import argparse
import asyncio
import gc
import json
import os
import signal
import sys

from . import world as defaults
from .server import Server
from .settings import Settings
from .signin import Principal
from .world import World


def arguments():
    parser = argparse.ArgumentParser(prog="python -m Sandbox.azure", description="An Azure Storage stand-in on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", help="written when ready: the port, or JSON with every port when its name ends in .json")
    parser.add_argument("--data", help="folder for content and certificates (default: a temporary one); content is removed at the end")
    parser.add_argument("--account", default=defaults.ACCOUNT)
    parser.add_argument("--key", action="append", default=[], metavar="BASE64", help="account key (default: the emulators' well-known one)")
    parser.add_argument("--filesystem", action="append", default=[], metavar="NAME", help="made at start")
    parser.add_argument("--principals", metavar="FILE", help='JSON list, beside the built-in ones: [{"client_id", "secrets", "role", …}]')
    parser.add_argument("--faults", metavar="FILE", help="JSON list of fault rules")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting; see README.md")
    parser.add_argument("--tls", action="store_true", help="also serve everything over TLS, with a CA in DATA/ca.pem")
    return parser.parse_args()


def build(args):
    settings = Settings()
    settings.update(dict(s.split("=", 1) for s in args.set))
    world = World(args.data and os.path.abspath(args.data), args.account, args.key, settings)
    world.signin.add(Principal(defaults.CLIENT, [defaults.SECRET], [defaults.ASSERTION]))
    world.signin.add(Principal(defaults.SYSTEM_IDENTITY, managed="system"))
    world.signin.add(Principal(defaults.USER_IDENTITY, managed="user"))
    if args.principals:
        with open(args.principals, encoding="utf-8") as file:
            for one in json.load(file):
                world.signin.add(Principal(**one))
    if args.faults:
        with open(args.faults, encoding="utf-8") as file:
            world.faults.set(json.load(file))
    for name in args.filesystem:
        if world.store.create(name, world.now()) is None:
            raise SystemExit(f"file system {name} twice")
    return world


async def run(args, world):
    context = None
    if args.tls:
        from ..snowflake.certificates import server_context
        context = server_context(world.folder)
    server, stop = Server(world), asyncio.Event()
    await server.listen(args.port, context)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if args.port_file:
        with open(args.port_file + ".new", "w", encoding="utf-8") as file:
            file.write(json.dumps(server.ports) if args.port_file.endswith(".json") else f"{server.ports['azure']}\n")
        os.replace(args.port_file + ".new", args.port_file)
    print(f"ready azure http://127.0.0.1:{server.ports['azure']}/{world.account} " + json.dumps(server.ports), flush=True)
    await stop.wait()
    server.close()
    world.close()


def main():
    args = arguments()
    world = build(args)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50000, 20, 100)
    asyncio.run(run(args, world))
    return 0


if __name__ == "__main__":
    sys.exit(main())
