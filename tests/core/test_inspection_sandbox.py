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
