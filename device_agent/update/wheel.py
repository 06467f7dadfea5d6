"""An agent's wheel, judged and unpacked: signed, and held to its bounds all the same."""

from __future__ import annotations

import re
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message as Headers
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path, PurePosixPath

from device_agent.errors import Rejected, Unavailable
from device_agent.files import sync_folder, sync_tree

MAX_WHEEL_BYTES = 32 * 1024 * 1024
MAX_UNPACKED_BYTES = 128 * 1024 * 1024
MAX_FILES = 5000
_MAX_TEXT_BYTES = 1024 * 1024
_PACKAGES = ("device_agent", "inference_core")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_MAIN = b"""import sys

from device_agent.__main__ import main

sys.exit(main())
"""
_PROVISION = "provision this box anew"


def judge_wheel(path: Path, version: str) -> None:
    """Refuse what is no pure Python wheel of this project's ``version``.

    ``Rejected``: the wheel itself is wrong. ``Unavailable``: this box lacks what it needs.
    """
    with _opened(path) as wheel:
        _judge_entries(wheel.infolist(), version)
        about = _headers(wheel, version, "WHEEL")
        told = _headers(wheel, version, "METADATA")
    if about["Root-Is-Purelib"] != "true" or about.get_all("Tag") != ["py3-none-any"]:
        raise Rejected("the agent's wheel is not pure Python for every machine")
    if (told["Name"], told["Version"]) != ("linewarden", version):
        raise Rejected(f"the wheel holds {told['Name']} {told['Version']}, not version {version}")
    _judge_needs(told)


def unpack(path: Path, destination: Path) -> None:
    """Whole or not at all, also after a power cut; a folder that is there already is replaced."""
    fresh = Path(tempfile.mkdtemp(dir=destination.parent, prefix=".unpack-"))
    try:
        with _opened(path) as wheel:
            for entry in wheel.infolist():
                _extract(wheel, entry, fresh)
        (fresh / "__main__.py").write_bytes(_MAIN)
        fresh.chmod(0o755)
        sync_tree(fresh)
        if destination.exists():
            shutil.rmtree(destination)
        fresh.rename(destination)
        sync_folder(destination.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as wheel:
            yield wheel
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise Rejected(f"the agent's wheel is no sound ZIP file: {error}") from error


def _judge_entries(entries: list[zipfile.ZipInfo], version: str) -> None:
    if len(entries) > MAX_FILES or sum(e.file_size for e in entries) > MAX_UNPACKED_BYTES:
        raise Rejected(f"the wheel unpacks to more than {MAX_UNPACKED_BYTES} bytes, or files")
    if len({entry.filename for entry in entries}) != len(entries):
        raise Rejected("the wheel holds a file twice")
    roots = (*_PACKAGES, f"linewarden-{version}.dist-info")
    for entry in entries:
        parts = entry.filename.split("/")
        parts = parts[:-1] if entry.is_dir() else parts
        if parts[0] not in roots or not all(map(_PLAIN_NAME.fullmatch, parts)):
            raise Rejected(f"the wheel holds {entry.filename!r}, which has no place in an agent")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise Rejected(f"the wheel holds a link, {entry.filename!r}")


def _headers(wheel: zipfile.ZipFile, version: str, name: str) -> Headers:
    path = f"linewarden-{version}.dist-info/{name}"
    try:
        with wheel.open(path) as file:
            return HeaderParser().parsestr(file.read(_MAX_TEXT_BYTES).decode())
    except (KeyError, UnicodeDecodeError) as error:
        raise Rejected(f"the wheel has no readable {path}") from error


def _judge_needs(told: Headers) -> None:
    """What the agent imports comes with provisioning; an update brings none of it."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
    except ImportError as error:
        raise Unavailable(f"packaging is not installed: {_PROVISION}", delay_s=3600) from error
    try:
        pythons = SpecifierSet(told["Requires-Python"] or "")
        needs = [Requirement(text) for text in told.get_all("Requires-Dist") or []]
    except (InvalidRequirement, InvalidSpecifier) as error:
        raise Rejected(f"the wheel does not say clearly what it needs: {error}") from error
    here = ".".join(map(str, sys.version_info[:3]))
    missing = [] if pythons.contains(here, prereleases=True) else [f"Python {pythons}"]
    for need in needs:
        is_ours = need.marker is None or need.marker.evaluate({"extra": "agent"})
        if is_ours and need.name != "linewarden":
            found = _installed_version(need.name)
            if found is None or not need.specifier.contains(found, prereleases=True):
                missing.append(f"{need.name}{need.specifier} (here: {found or 'none'})")
    if missing:
        raise Unavailable(f"the new agent needs {', '.join(missing)}: {_PROVISION}", delay_s=3600)


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extract(wheel: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """``read`` gives no more than the size that was judged, and checks its CRC."""
    path = folder.joinpath(*PurePosixPath(entry.filename).parts)
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(entry) as packed, path.open("xb") as file:
        shutil.copyfileobj(packed, file)
