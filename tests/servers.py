"""Real servers for tests: started on loopback in a temporary folder, stopped at the end."""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MISSING_HINT = {
    "postgres": "sudo apt install postgresql",
    "redis": "sudo apt install redis-server",
    "mosquitto": "sudo apt install mosquitto",
    "chromium": "sudo apt install chromium",
    "faketime": "sudo apt install faketime",
    "strace": "sudo apt install strace",
}
START_LIMIT_S = 60.0


def is_installed(name: str) -> bool:
    return _find(name) is not None


@functools.cache
def works_here(name: str) -> bool:
    """Whether the kernel lets an installed tool work: not every container may trace."""
    if name != "strace":
        return True
    command = [str(_find(name)), "-o", "/dev/null", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def chromium_path() -> str:
    path = _find("chromium")
    assert path is not None
    return str(path)


def _find(name: str) -> Path | None:
    if name == "postgres":
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
        return found[0].parent if found else None
    program = {"redis": "redis-server"}.get(name, name)
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(path) if path else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} does not listen on port {port}")


@contextlib.contextmanager
def _running(arguments: list[str], port: int, **options: object) -> Iterator[None]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, **options)
    try:
        _wait_for_port(port, process)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=START_LIMIT_S)


@contextlib.contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """A Redis of its own, on ``port`` where one is given; gives its URL."""
    port = port or free_port()
    command = [str(_find("redis")), "--port", str(port), "--bind", "127.0.0.1"]
    with _running([*command, "--dir", str(folder), "--save", "", "--appendonly", "no"], port):
        yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of its own, on loopback, without fsync; gives the URL of its database."""
    programs, port, owner = _find("postgres"), free_port(), _owner_of_cluster()
    assert programs is not None
    # Not below pytest's own folders: those are closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="linewarden-postgres-") as data:
        if owner:
            os.chown(data, owner["user"], owner["group"])
        subprocess.run(
            [str(programs / "initdb"), "-D", data, "-U", "linewarden", "-A", "trust", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=data,
            **owner,
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": data,
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        command = [str(programs / "postgres"), "-D", data, *options]
        with _running(command, port, cwd=data, stderr=subprocess.DEVNULL, **owner):
            yield f"postgresql://linewarden@127.0.0.1:{port}/postgres"


def _owner_of_cluster() -> dict[str, int]:
    """PostgreSQL refuses to run as root: then it runs as the user that its package made."""
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid}
