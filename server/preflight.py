"""Says what is missing before anything is half done. Standard library only, any Python 3."""

import argparse
import importlib.util
import platform
import shutil
import socket
import sys
from pathlib import Path
from typing import Optional

GIB = 1024**3


def _python() -> Optional[str]:
    if sys.version_info < (3, 11):
        return (
            f"Python {platform.python_version()} is too old for the server, which needs 3.11; "
            "install a newer one and name it: make install PYTHON=python3.11"
        )
    if sys.maxsize < 2**32:
        return "This Python is a 32-bit one; Linewarden needs a 64-bit system."
    if importlib.util.find_spec("ensurepip") is None:
        return "Python cannot make virtual environments here; run: sudo apt install python3-venv"
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.parents] if path.exists())


def _disk(folder: Path, gib_needed: float, what: str) -> Optional[str]:
    free = shutil.disk_usage(_existing(folder)).free
    if free < gib_needed * GIB:
        return (
            f"{what} needs {gib_needed:g} GiB in {folder}, where {free / GIB:.1f} GiB are free; "
            "make room there or choose another place."
        )
    return None


def _data(folder: Path) -> Optional[str]:
    place = _existing(folder)
    if not place.is_dir():
        return f"{place} is a file; choose another data folder: make run DATA=/elsewhere"
    try:
        probe = place / f".linewarden-{socket.gethostname()}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return f"{place} cannot be written ({error.strerror}); choose another: make run DATA=…"
    return None


def _port(port: int) -> Optional[str]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return f"Port {port}: {error.strerror}; choose another, for example: make run PORT=8001"
    return None


def find_problem(options: argparse.Namespace) -> Optional[str]:
    """The first thing that stands in the way, as a sentence with its remedy, or None."""
    if options.command == "install":
        return _python() or _disk(Path.cwd(), 3, "The environment")
    checks = [_disk(options.data, 1, "The data"), _data(options.data)]
    if options.command == "run":
        checks.append(_port(options.port))
    return next((problem for problem in checks if problem), None)


def main() -> None:
    """Exit with 2 and one sentence where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["install", "run", "demo"])
    parser.add_argument("--data", type=lambda text: Path(text).absolute(), default=Path.cwd())
    parser.add_argument("--port", type=int, default=8000)
    problem = find_problem(parser.parse_args())
    if problem:
        sys.stderr.write(f"linewarden: {problem}\n")
        raise SystemExit(2)


if __name__ == "__main__":
    main()
