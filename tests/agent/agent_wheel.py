"""Wheels of this very agent under another version, sound or spoilt on demand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from inference_core import __version__
from tests.agent.device import REPOSITORY

NEEDS = ("pydantic>=2.12", 'tuf>=6; extra == "agent"', 'django>=99; extra == "server"')


def make_wheel(
    version: str,
    *,
    changes: Mapping[str, tuple[str, str]] | None = None,
    files: Mapping[str, bytes] | None = None,
    needs: tuple[str, ...] = NEEDS,
    tag: str = "py3-none-any",
    python: str = ">=3.10",
) -> bytes:
    """``changes``: by file, a text that must be there and what stands there instead."""
    contents = _sources()
    told = ("inference_core/__init__.py", (f'"{__version__}"', f'"{version}"'))
    for path, (old, new) in (told, *(changes or {}).items()):
        text = contents[path].decode()
        assert old in text, f"{old!r} is not in {path}"
        contents[path] = text.replace(old, new).encode()
    folder = f"linewarden-{version}.dist-info"
    lines = ["Metadata-Version: 2.4", "Name: linewarden", f"Version: {version}"]
    lines += [f"Requires-Python: {python}", *(f"Requires-Dist: {need}" for need in needs)]
    contents[f"{folder}/METADATA"] = "\n".join(lines).encode()
    about = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    contents[f"{folder}/WHEEL"] = about.encode()
    contents[f"{folder}/RECORD"] = b""
    return _zipped(contents | dict(files or {}))


def _sources() -> dict[str, bytes]:
    return {
        path.relative_to(REPOSITORY).as_posix(): path.read_bytes()
        for package in ("device_agent", "inference_core")
        for path in sorted((REPOSITORY / package).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _zipped(contents: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for path, content in contents.items():
            wheel.writestr(path, content)
    return packed.getvalue()
