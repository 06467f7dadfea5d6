"""Code that a hostile file would run in its inspection, or in a build: it reaches nothing."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.lib.children import ChildLimits, Completed, run_child

ATTACK = """
import os, socket, subprocess, sys, types
from pathlib import Path

def attempt(name, act):
    try:
        act()
        print(name, "did")
    except OSError as error:
        print(name, "denied")

def attack(path, manifest):
    address = ("127.0.0.1", int(sys.argv[1]))
    attempt("tcp", lambda: socket.create_connection(address, 5).sendall(b"x"))
    attempt("udp", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", address))
    attempt("local", lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[2]))
    attempt("fork", lambda: os.fork() or os._exit(0))
    attempt("program", lambda: subprocess.Popen(["sleep", "600"], start_new_session=True))
    attempt("read", Path(sys.argv[4]).read_text)
    attempt("write", lambda: Path(sys.argv[4]).write_text("spoilt"))

sys.modules["inference_core.inspection.inspect"] = types.SimpleNamespace(inspect_model=attack)
from inference_core.commands.inspect import _inspect
_inspect(Path("model.onnx"), None, limits=sys.argv[3] == "limits")
"""

JOB = """
import argparse, importlib, socket, sys, types
from pathlib import Path

def attack(*_):
    address = ("127.0.0.1", int(sys.argv[1]))
    for act in (lambda: socket.create_connection(address, 5), Path(sys.argv[4]).read_text):
        try:
            act()
        except OSError:
            print("denied", flush=True)
    raise SystemExit(0)

sys.modules["inference_core.optimize." + sys.argv[3]] = types.SimpleNamespace(
    **dict.fromkeys(("run_build", "run_builds", "run_check", "compare_versions"), attack)
)
command = importlib.import_module("inference_core.commands." + sys.argv[2])
command.read_document = lambda path, kind: types.SimpleNamespace(pictures_path="pictures")
command.execute(argparse.Namespace(job=Path("job.json")))
"""


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[tuple[socket.socket, socket.socket, list[str]]]:
    """Real ones, and who reached them."""
    reached: list[str] = []
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(tmp_path / "local"))
    local.listen()
    with socket.create_server(("127.0.0.1", 0)) as tcp, local:
        threads = [
            threading.Thread(target=_accept, args=(server, name, reached), daemon=True)
            for server, name in ((tcp, "tcp"), (local, "local"))
        ]
        for thread in threads:
            thread.start()
        yield tcp, local, reached
        for server in (tcp, local):
            server.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)


def _accept(server: socket.socket, name: str, reached: list[str]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        reached.append(name)
        connection.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """What lies beside the models: keys, the database, other people's uploads."""
    path = tmp_path / "secret"
    path.write_text("secret")
    return path


def _attack(
    listeners: tuple[socket.socket, socket.socket, list[str]], secret: Path, how: str
) -> Completed:
    tcp, local, _ = listeners
    addresses = [str(tcp.getsockname()[1]), local.getsockname(), how, str(secret)]
    command = [sys.executable, "-c", ATTACK, *addresses]
    return run_child(command, timeout_s=60, limits=ChildLimits())


def test_code_in_an_inspection_reaches_no_network_no_other_file_and_starts_nothing(
    listeners: tuple[socket.socket, socket.socket, list[str]], secret: Path
) -> None:
    done = _attack(listeners, secret, "limits")
    said = dict(line.split() for line in done.stdout.splitlines())
    attempts = ("tcp", "udp", "local", "fork", "program", "read", "write")
    assert said == dict.fromkeys(attempts, "denied"), done
    assert listeners[2] == []
    assert secret.read_text() == "secret"


def test_the_same_code_outside_an_inspection_would_reach_it(
    listeners: tuple[socket.socket, socket.socket, list[str]], secret: Path
) -> None:
    """Otherwise the test above would show nothing."""
    done = _attack(listeners, secret, "free")
    assert "tcp did" in done.stdout, done
    assert "local did" in done.stdout
    assert "read did" in done.stdout


@pytest.mark.parametrize(
    ("command", "module"), [("build", "build"), ("certify", "golden"), ("compare", "versus")]
)
def test_code_in_a_build_a_check_or_a_comparison_reaches_no_network_and_no_other_file(
    listeners: tuple[socket.socket, socket.socket, list[str]],
    secret: Path,
    command: str,
    module: str,
) -> None:
    port = str(listeners[0].getsockname()[1])
    attack = [sys.executable, "-c", JOB, port, command, module, str(secret)]
    done = run_child(attack, timeout_s=60, limits=ChildLimits())
    assert (done.stdout + done.stderr_tail).count("denied") == 2, done
    assert listeners[2] == []
