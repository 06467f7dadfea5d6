"""The arguments of ``python -m server trust``, and which of its commands need the server."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.lib.errors import DomainError

_OFFLINE = {"keys": "make_keys", "key": "make_key", "join": "join_keys", "sign": "sign"}
_OFFLINE["show"] = "show"
_ONLINE = {name: name for name in ("init", "rotate", "request", "cosign", "renew", "withdraw")}
_ONLINE |= {"import": "take_in", "status": "status"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything after ``trust``."""
    commands = parser.add_subparsers(dest="trust_command", required=True, metavar="COMMAND")
    _add_offline(commands)
    _add_online(commands)


def main(options: argparse.Namespace) -> int:
    """Exit status 0: done; 1: not; 3: something is overdue."""
    try:
        return _command(options.trust_command)(options)
    except DomainError as error:
        sys.stderr.write(f"linewarden trust: {error.detail}\n")
    except OSError as error:
        sys.stderr.write(f"linewarden trust: {error}\n")
    return 1


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """A keyholder's machine loads no Django and asks for no database."""
    from server.trust.console import offline

    command: Callable[[argparse.Namespace], int]
    if name in _OFFLINE:
        command = getattr(offline, _OFFLINE[name])
        return command
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.config.settings")
    import django

    django.setup()
    from server.trust.console import online

    command = getattr(online, _ONLINE[name])
    return command


def _add_offline(commands: Any) -> None:
    keys = commands.add_parser("keys", help="make encrypted keys of root and targets (offline)")
    keys.add_argument("folder", type=Path)
    keys.add_argument("--keys", type=int, default=1, help="of each of the two roles")
    keys.add_argument("--threshold", type=int, default=1, help="how many of them must sign")
    key = commands.add_parser("key", help="make one encrypted key of a person (offline)")
    key.add_argument("file", type=Path)
    key.add_argument("--holder", required=True, help="the person's name; it is signed and shown")
    join = commands.add_parser("join", help="put public keys of several people into one file")
    join.add_argument("file", type=Path)
    join.add_argument("public", type=Path, nargs="+")
    join.add_argument("--threshold", type=int, required=True)
    sign = commands.add_parser("sign", help="show what would change, ask, and sign (offline)")
    show = commands.add_parser("show", help="show what would change (offline)")
    for command in (sign, show):
        command.add_argument("request", type=Path)
        command.add_argument("--root", type=Path, help="a root that you trust, where you have one")
    sign.add_argument("--key", type=Path, required=True)
    sign.add_argument("--yes", action="store_true", help="do not ask; for automation")
    for command in (keys, key, sign):
        command.add_argument(
            "--passphrase-file", type=Path, help="its first line, such as /dev/fd/3; default: ask"
        )


def _add_online(commands: Any) -> None:
    init = commands.add_parser("init", help="let offline keys hold root and targets")
    rotate = commands.add_parser("rotate", help="new keys for a role")
    rotate.add_argument(
        "role", help="root, targets, snapshot, timestamp, online, agent, or a profile"
    )
    rotate.add_argument("--add", action="store_true", help="keep the builder's old key as well")
    for command in (init, rotate):
        command.add_argument("--root", type=Path, help="public keys that shall hold root")
        command.add_argument("--targets", type=Path, help="public keys that shall hold targets")
    request = commands.add_parser("request", help="write what waits for signatures into a file")
    request.add_argument("profile", nargs="?", help="its releases; default: root and targets")
    cosign = commands.add_parser("cosign", help="let a person sign the releases of a profile too")
    cosign.add_argument("profile")
    cosign.add_argument("--person", type=Path, nargs="+", default=[], help="public keys")
    cosign.add_argument("--off", action="store_true")
    for command in (init, rotate, request, cosign):
        command.add_argument("--to", type=Path, default=Path("signing-request.json"))
    take = commands.add_parser("import", help="publish what enough people have signed")
    take.add_argument("request", type=Path)
    renew = commands.add_parser("renew", help="a builder signs anew what its profile vouches for")
    renew.add_argument("profile")
    withdraw = commands.add_parser("withdraw", help="vouch no longer for an artifact")
    withdraw.add_argument("profile")
    withdraw.add_argument("sha256")
    commands.add_parser("status", help="who signs what, what ends when, what waits for whom")
