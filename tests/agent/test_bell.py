"""The bell that ends a rest: never missed, never deaf, and safe in a signal handler."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device_agent.bell import Bell

LIMIT_S = 20.0


@pytest.fixture
def on_alarm() -> Iterator[Callable[[Callable[..., Any]], None]]:
    """Sets what SIGALRM does, for this test."""
    before = signal.getsignal(signal.SIGALRM)
    yield lambda handler: signal.signal(signal.SIGALRM, handler) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_ring_before_the_wait_is_not_lost_and_several_are_one() -> None:
    bell = Bell()
    for _ in range(3):
        bell.ring()
    assert bell.wait(LIMIT_S)
    assert not bell.wait(0.0)


def test_another_thread_ends_the_wait() -> None:
    bell = Bell()
    threading.Timer(0.1, bell.ring).start()
    begun_s = time.monotonic()
    assert bell.wait(LIMIT_S)
    assert time.monotonic() - begun_s < LIMIT_S


def test_a_signal_handler_ends_the_wait_of_its_own_thread(
    on_alarm: Callable[[Callable[..., Any]], None],
) -> None:
    bell = Bell()
    on_alarm(lambda *_: bell.ring())
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    assert bell.wait(LIMIT_S)


def test_a_signal_that_rings_nothing_does_not_end_the_wait(
    on_alarm: Callable[[Callable[..., Any]], None],
) -> None:
    on_alarm(lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    begun_s = time.monotonic()
    assert not Bell().wait(0.3)
    assert time.monotonic() - begun_s >= 0.3


@pytest.mark.parametrize("longest_s", [0.0, 1e-7, 1e-6, 1e-5, -1.0])
def test_a_wait_that_is_over_as_it_begins_ends(longest_s: float) -> None:
    """A queue of Python 3.10 hangs within some thousand of these."""
    ended = threading.Event()

    def wait_often() -> None:
        for _ in range(5000 if longest_s <= 0 else 500):
            Bell().wait(longest_s)
        ended.set()

    threading.Thread(target=wait_often, daemon=True).start()
    assert ended.wait(LIMIT_S)


def test_it_gives_back_what_it_holds() -> None:
    before = _eventfds()
    for _ in range(10):
        Bell().ring()
    assert _eventfds() == before


def _eventfds() -> int:
    links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [str(link) for link in links].count("anon_inode:[eventfd]")
