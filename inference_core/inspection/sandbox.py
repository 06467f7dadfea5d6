"""Gives up the network and most resources before a foreign file is opened."""

from __future__ import annotations

import ctypes
import logging
import os
import resource

from inference_core.inspection import seccomp

logger = logging.getLogger(__name__)

MEMORY_BYTES = 4 * 1024**3
CPU_S = 60
FILE_BYTES = 16 * 1024**2  # the answer only
OPEN_FILES = 64

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def drop_network() -> bool:
    """Move this process into a network of its own that leads nowhere; else take sockets from it.

    Call it before anything starts a thread: the kernel gives a user namespace only to a process
    with a single one. Many hosts forbid it to ordinary users; a filter of system calls needs no
    permission. False, and told in the log, where the kernel has neither.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (_CLONE_NEWNET, _CLONE_NEWNET | _CLONE_NEWUSER):
        if libc.unshare(flags) == 0:
            return True
    if seccomp.deny_sockets():
        return True
    reason = os.strerror(ctypes.get_errno())
    logger.warning("the network stays reachable: a namespace of its own was denied (%s)", reason)
    return False


def seal() -> bool:
    """From here on no socket, no other program, no other process: nothing outlives this one.

    Call it after the imports. False, and told in the log, where the kernel has no filters.
    """
    is_sealed = seccomp.deny_all()
    if not is_sealed:
        logger.warning("this process may still start others: the kernel has no filter of calls")
    return is_sealed


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
