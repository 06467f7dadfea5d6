"""Gives up the network and most resources before a foreign file is opened."""

from __future__ import annotations

import ctypes
import logging
import os
import resource

logger = logging.getLogger(__name__)

MEMORY_BYTES = 4 * 1024**3
CPU_S = 60
FILE_BYTES = 16 * 1024**2  # the answer only
OPEN_FILES = 64

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def drop_network() -> bool:
    """Move this process into a network of its own that leads nowhere; False where not allowed.

    Call it before anything starts a thread: the kernel gives a user namespace only to a process
    with a single one. Many hosts forbid it to ordinary users, so the caller must not rely on it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (_CLONE_NEWNET, _CLONE_NEWNET | _CLONE_NEWUSER):
        if libc.unshare(flags) == 0:
            return True
    reason = os.strerror(ctypes.get_errno())
    logger.warning("the network stays reachable: a namespace of its own was denied (%s)", reason)
    return False


def limit_resources() -> None:
    """Cap memory, processor time, written bytes and open files of this process for good.

    Call it after the imports: libraries map more address space than the work itself needs.
    """
    _lower(resource.RLIMIT_AS, MEMORY_BYTES)
    _lower(resource.RLIMIT_CPU, CPU_S)
    _lower(resource.RLIMIT_FSIZE, FILE_BYTES)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    _lower(resource.RLIMIT_CORE, 0)
    # Counts threads of the whole user, so it stops new ones only; root is exempt from it.
    _lower(resource.RLIMIT_NPROC, 0)


def _lower(kind: int, limit: int) -> None:
    """Set both limits, unless a stricter one is in force already."""
    _, hard = resource.getrlimit(kind)
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (lowest, lowest))
