"""``python -m server run | demo | prepare | broker | build-worker | trust``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m server", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start server, worker and three agents, until Ctrl-C")
    run.add_argument("--data", type=Path, default=Path("data"), help="where everything is kept")
    run.add_argument("--port", type=int, default=8000)
    demo = commands.add_parser("demo", help="the sample story once, then one JSON object")
    demo.add_argument("--data", type=Path, help="keep the data here; the default forgets it")
    demo.add_argument("--port", type=int, help="the default takes a free one")
    commands.add_parser("prepare", help="migrate, seed, and print the password of a new admin")
    commands.add_parser("broker", help="keep the MQTT broker: its folder, doorbells, presences")
    builder = commands.add_parser("build-worker", help="build for what this machine is a twin of")
    builder.add_argument(
        "--profile", action="append", default=[], help="of these alone; else of all that fit"
    )
    builder.add_argument(
        "--concurrency", type=int, default=1, help="builds at once; they measure each other"
    )
    builder.add_argument(
        "--sign", action="store_true", help="sign for profiles that their own devices build for"
    )
    from server.trust.console.parser import add_arguments

    trust = commands.add_parser("trust", help="keys and signatures of people; see docs/trust.md")
    add_arguments(trust)
    return parser


def _prepare() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    import django

    django.setup()
    from server.config.prepare import ADMIN, prepare
    from server.lib.storage import StorageAway

    try:
        password = prepare()
    except StorageAway as problem:
        sys.stderr.write(f"linewarden: {problem.detail}\n")
        return 2
    if password:
        sys.stdout.write(f"user {ADMIN}, password {password}\n")
    return 0


def _keep_broker() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    import django

    django.setup()
    from server.broker.command import main as keep

    return keep()


def _build(profiles: list[str], concurrency: int, *, signs: bool) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    import django

    django.setup()
    from server.builds.command import main as work

    return work(profiles, concurrency, signs=signs)


def main() -> int:
    """Dispatch; the modules configure Django for the chosen data folder before they load it."""
    options = _parser().parse_args()
    if options.command == "run":
        from server.demo.run import run

        return run(options.data.absolute(), options.port)
    if options.command == "prepare":
        return _prepare()
    if options.command == "broker":
        return _keep_broker()
    if options.command == "build-worker":
        return _build(options.profile, options.concurrency, signs=options.sign)
    if options.command == "trust":
        from server.trust.console.parser import main as trust

        return trust(options)
    from server.demo.headless import demo

    return demo(options.data and options.data.absolute(), options.port)


if __name__ == "__main__":
    sys.exit(main())
