"""The sandbox is entered in fresh children: its limits are for good."""

from __future__ import annotations

import subprocess
import sys

PRELUDE = """
import logging, socket, threading
logging.basicConfig(level="WARNING")
from inference_core.inspection import sandbox
"""


def run_child(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_address_is_reachable_where_the_host_grants_a_namespace() -> None:
    child = run_child(
        """
server = socket.create_server(("127.0.0.1", 0))
dropped = sandbox.drop_network()
try:
    socket.create_connection(server.getsockname(), timeout=5)
    print(dropped, "reached")
except OSError:
    print(dropped, "unreachable")
"""
    )

    # A host that forbids namespaces is told of in the log instead.
    if child.stdout.split() == ["False", "reached"]:
        assert "the network stays reachable" in child.stderr
    else:
        assert child.stdout.split() == ["True", "unreachable"]


def test_memory_beyond_the_limit_is_not_given() -> None:
    child = run_child(
        """
sandbox.limit_resources()
try:
    bytearray(sandbox.MEMORY_BYTES)
except MemoryError:
    print("denied")
"""
    )

    assert child.stdout == "denied\n", child.stderr


def test_a_stricter_limit_of_the_caller_stays_in_force() -> None:
    child = run_child(
        """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
sandbox.limit_resources()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    )

    assert child.stdout == "(32, 32)\n", child.stderr


def test_the_package_can_be_entered_without_starting_a_thread() -> None:
    child = run_child("import os; print(len(os.listdir('/proc/self/task')))")

    assert child.stdout == "1\n", child.stderr


def test_without_a_namespace_a_filter_takes_the_network_and_leaves_local_sockets() -> None:
    child = run_child(
        """
from inference_core.inspection import seccomp
server = socket.create_server(("127.0.0.1", 0))
print(seccomp.deny_sockets())
socket.socket(socket.AF_UNIX).close()
for kind in (socket.AF_INET, socket.AF_INET6):
    try:
        socket.socket(kind)
    except PermissionError:
        print("denied")
import subprocess
print(subprocess.run(["true"]).returncode)
"""
    )

    assert child.stdout.split() == ["True", "denied", "denied", "0"], child.stderr


def test_a_sealed_process_has_threads_and_starts_no_other_process() -> None:
    child = run_child(
        """
import os, subprocess
waiting = threading.Event()
early = threading.Thread(target=waiting.wait)
early.start()
print(sandbox.seal())
for act in (os.fork, lambda: subprocess.run(["true"]), lambda: os.execv("/bin/true", ["true"])):
    try:
        act()
    except PermissionError:
        print("denied")
late = threading.Thread(target=lambda: print("thread"))
late.start()
late.join()
waiting.set()
"""
    )

    assert child.stdout.split() == ["True", "denied", "denied", "denied", "thread"], child.stderr


FILES = """
import os, pathlib, tempfile
inside, outside = (pathlib.Path(tempfile.mkdtemp()) for _ in range(2))
(inside / "a").mkdir()
for folder in (inside, outside):
    (folder / "there").write_text("there")
sandbox.shut_in(write=[inside])
def attempt(name, act):
    try:
        act()
        print(name, "done")
    except PermissionError:
        print(name, "denied")
"""


def test_who_is_shut_in_reads_and_changes_nothing_outside() -> None:
    child = run_child(
        FILES
        + """
attempt("read", (outside / "there").read_text)
attempt("list", lambda: list(outside.iterdir()))
attempt("write", lambda: (outside / "new").write_text("new"))
attempt("remove", (outside / "there").unlink)
attempt("move", lambda: (inside / "there").rename(outside / "moved"))
attempt("home", lambda: list(pathlib.Path("~").expanduser().iterdir()))
attempt("others", lambda: pathlib.Path(f"/proc/{os.getppid()}/environ").read_bytes())
"""
    )

    # A kernel without Landlock, or a host that keeps it back, is told of in the log instead.
    if "the kernel has no Landlock" not in child.stderr:
        denied = ("read", "list", "write", "remove", "move", "home", "others")
        assert child.stdout.splitlines() == [f"{name} denied" for name in denied], child.stderr


def test_who_is_shut_in_works_with_its_own_files_and_finds_what_python_needs() -> None:
    child = run_child(
        FILES
        + """
import subprocess, sys
attempt("write", lambda: (inside / "new").write_text("new"))
attempt("move", lambda: (inside / "new").rename(inside / "a" / "moved"))
attempt("remove", (inside / "a" / "moved").unlink)
attempt("null", lambda: pathlib.Path("/dev/null").write_text("nothing"))
import onnx, numpy
code = "import cv2, sqlite3; print('imported')"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
"""
    )

    assert child.stdout.splitlines() == [
        "write done", "move done", "remove done", "null done", "imported",
    ], child.stderr  # fmt: skip
