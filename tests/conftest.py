"""Tests that need a server of its own kind say so; without it they are skipped aloud."""

import os
import signal

import pytest

from tests.servers import MISSING_HINT, is_installed, works_here

# A shell makes what it starts in the background deaf to SIGINT, and so would be every process that
# a test starts and wants to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in MISSING_HINT:
            if not item.get_closest_marker(name):
                continue
            if not is_installed(name):
                _refuse_or_skip(item, name)
            elif not works_here(name):
                item.add_marker(pytest.mark.skip(reason=f"{name} may not work in this container"))


def _refuse_or_skip(item: pytest.Item, name: str) -> None:
    if os.environ.get("LINEWARDEN_REQUIRE_SERVERS"):
        raise pytest.UsageError(f"{item.nodeid} needs {name}, which is not installed here")
    item.add_marker(pytest.mark.skip(reason=f"needs {name}: {MISSING_HINT[name]}"))
