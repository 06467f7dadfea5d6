"""Takes files away from this process and all that it will start, for good: Landlock, Linux 5.13.

As Documentation/userspace-api/landlock.rst has it. It needs no privilege. What is open stays open.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Mapping
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls; the same on every architecture."""
_TELL_VERSION, _BENEATH = 1, 1
_NO_NEW_PRIVILEGES = 38


class Access(IntFlag):
    """What may be done with a file or, for a folder, with all beneath it."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14

    READ = EXECUTE | READ_FILE | READ_DIR
    USE = READ | WRITE_FILE | TRUNCATE
    OWN = (
        USE
        | REMOVE_DIR
        | REMOVE_FILE
        | MAKE_DIR
        | MAKE_REG
        | MAKE_SOCK
        | MAKE_FIFO
        | MAKE_SYM
        | REFER
    )


_ALL = (Access.TRUNCATE << 1) - 1
_OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE
_SINCE = {1: Access.REFER, 2: Access.TRUNCATE}
"""By the last version of the interface that did not know it."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def keep_to(grants: Mapping[Path, Access]) -> bool:
    """From here on nothing but ``grants``; paths that are not there are passed over.

    Call it before anything starts a thread: those that run already keep all files. False where
    the kernel does not have it, and then nothing has changed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    handled = _handled(libc.syscall(_CREATE_RULESET, None, 0, _TELL_VERSION))
    if not handled:
        return False
    attributes = _Ruleset(handled)
    rules = libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    if rules < 0:
        return False
    try:
        are_added = all(
            _add(libc, rules, path, access & handled) for path, access in grants.items()
        )
        return are_added and _restrict(libc, rules)
    finally:
        os.close(rules)


def _handled(version: int) -> int:
    """All that this kernel can refuse; 0 where it refuses nothing."""
    if version < 1:
        return 0
    newer = [access for last, access in _SINCE.items() if version <= last]
    return _ALL & ~sum(newer)


def _add(libc: ctypes.CDLL, rules: int, path: Path, access: int) -> bool:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True  # what cannot be reached needs no rule
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= _OF_FILES
        rule = _Beneath(access, parent)
        return bool(libc.syscall(_ADD_RULE, rules, _BENEATH, ctypes.byref(rule), 0) == 0)
    finally:
        os.close(parent)


def _restrict(libc: ctypes.CDLL, rules: int) -> bool:
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
