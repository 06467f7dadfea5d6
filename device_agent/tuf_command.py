"""``linewarden-agent tuf``: the agent's TUF client alone, with the conformance suite's arguments.

It needs no settings and no identity, and goes through the same code as a deployment.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from device_agent.downloads import Downloader, is_intact
from device_agent.errors import AgentError, Rejected
from device_agent.files import make_folder, write_atomically
from device_agent.remote_files import PlainFiles
from device_agent.trust import SignedTargets

_MAX_ROOT_BYTES = 512_000
_MAX_NAME_BYTES = 255


def main(arguments: Sequence[str]) -> int:
    """Exit status 0: done and verified; 1: not; 2: wrong arguments."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (AgentError, OSError, UnicodeError) as error:
        print(f"linewarden-agent tuf: {error}", file=sys.stderr)
        return 1
    return 0


def init(options: argparse.Namespace) -> None:
    """Trust this root from now on; it is judged when it is used."""
    with options.root.open("rb") as file:
        content = file.read(_MAX_ROOT_BYTES + 1)
    if len(content) > _MAX_ROOT_BYTES:
        raise Rejected(f"{options.root} exceeds {_MAX_ROOT_BYTES} bytes: it is no root metadata")
    write_atomically(make_folder(options.metadata_dir) / "root.json", content)


def refresh(options: argparse.Namespace) -> None:
    """Bring the metadata up to date."""
    _open(options, PlainFiles({"metadata": _given(options, "metadata_url")}))


def download(options: argparse.Namespace) -> None:
    """Bring each named target; one that is here already is not fetched again."""
    files = PlainFiles(
        {
            "metadata": _given(options, "metadata_url"),
            "targets": _given(options, "target_base_url"),
        }
    )
    names, folder = _given(options, "target_name"), make_folder(_given(options, "target_dir"))
    partial = make_folder(folder / ".partial")
    targets, downloader = _open(options, files), Downloader(files, partial, disk_reserve_bytes=0)
    for name in names:
        signed = targets.find(name)
        if signed is None:
            raise Rejected(f"nobody with a trusted key has signed {name}")
        destination = folder / _file_name(name)
        if not is_intact(destination, signed):
            downloader.fetch_signed(signed, destination)


def _open(options: argparse.Namespace, files: PlainFiles) -> SignedTargets:
    root = options.metadata_dir / "root.json"
    if not root.exists():
        raise Rejected(f"there is no {root}: run init with a root that you trust")
    return SignedTargets(files, options.metadata_dir, root.read_bytes(), None)


def _file_name(target: str) -> str:
    """One name in one folder, whatever a target is called."""
    name = quote(target, "")
    if name.startswith(".") or len(name) > _MAX_NAME_BYTES:
        raise Rejected(f"no file can be named after the target {target[:80]!r}")
    return name


def _given(options: argparse.Namespace, name: str) -> Any:
    value = getattr(options, name)
    if not value:
        raise Rejected(f"--{name.replace('_', '-')} is missing")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linewarden-agent tuf", description="Fetch what a TUF repository has signed."
    )
    parser.add_argument("--metadata-dir", type=Path, required=True, help="trusted metadata")
    parser.add_argument("--metadata-url", help="where the repository's metadata are")
    parser.add_argument("--target-name", action="append", help="path of a target; repeatable")
    parser.add_argument("--target-base-url", help="where the repository's targets are")
    parser.add_argument("--target-dir", type=Path, help="where targets are put")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    trust = commands.add_parser("init", help="trust a root from now on")
    trust.add_argument("root", type=Path, metavar="ROOT")
    trust.set_defaults(command=init)
    for command in (refresh, download):
        named = commands.add_parser(command.__name__, help=command.__doc__)
        named.set_defaults(command=command)
    return parser
