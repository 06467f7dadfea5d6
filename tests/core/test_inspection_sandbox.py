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
