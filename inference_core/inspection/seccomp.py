"""Takes system calls away from this process and all its threads, for good: seccomp(2), Linux.

Classic BPF, as Documentation/userspace-api/seccomp_filter.rst has it. It needs no privilege.
"""

from __future__ import annotations

import ctypes
import errno
import platform
from dataclasses import dataclass

_SET_MODE_FILTER, _SYNC_THREADS = 1, 1
_NO_NEW_PRIVILEGES = 38
_ALLOW, _REFUSE, _ABSENT = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_THREAD = 0x00010000
_UNIX = 1
_OTHER_ABI = 0x40000000
"""From here on x86-64 has a second set of the same calls."""


@dataclass(frozen=True)
class _Calls:
    """Numbers of system calls of one architecture."""

    architecture: int
    seccomp: int
    socket: int
    clone: int
    others: tuple[int, ...]
    """fork, vfork, execve, execveat: those that there are."""


_CLONE3, _URING = 435, (425, 426, 427)
"""The same everywhere. io_uring opens sockets without a call that a filter sees."""

_CALLS = {
    "x86_64": _Calls(0xC000003E, 317, 41, 56, (57, 58, 59, 322)),
    "aarch64": _Calls(0xC00000B7, 277, 198, 220, (221, 281)),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("yes", ctypes.c_ubyte),
        ("no", ctypes.c_ubyte),
        ("value", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.POINTER(_Instruction)))


def deny_sockets() -> bool:
    """No new socket but to this machine's own programs; False where the kernel has no filters."""
    return _install(_refuse_sockets(also_local=False))


def deny_all() -> bool:
    """No new socket of any kind, no new process, no other program; threads may be started."""
    return _install([*_refuse_sockets(also_local=True), *_refuse_processes()])


def _refuse_sockets(*, also_local: bool) -> list[tuple[int, int, int, int]]:
    calls = _CALLS.get(platform.machine())
    if calls is None:
        return []
    ring = [row for number in _URING for row in _refuse(number, _ABSENT)]
    if also_local:
        return [*ring, *_refuse(calls.socket, _REFUSE)]
    return [
        *ring,
        (_EQUAL, 0, 4, calls.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, _UNIX),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
    ]


def _refuse_processes() -> list[tuple[int, int, int, int]]:
    calls = _CALLS.get(platform.machine())
    if calls is None:
        return []
    return [
        # Its flags lie in memory, where a filter cannot look: libraries then take the older one.
        *_refuse(_CLONE3, _ABSENT),
        *(row for number in calls.others for row in _refuse(number, _REFUSE)),
        (_EQUAL, 0, 4, calls.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
    ]


def _refuse(number: int, answer: int) -> list[tuple[int, int, int, int]]:
    return [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]


def _install(rules: list[tuple[int, int, int, int]]) -> bool:
    calls = _CALLS.get(platform.machine())
    if calls is None or not rules:
        return False
    rows = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, calls.architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _OTHER_ABI),
        (_RETURN, 0, 0, _REFUSE),
        *rules,
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = (_Instruction * len(rows))(*(_Instruction(*row) for row in rows))
    program = _Program(len(rows), code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    answer = libc.syscall(calls.seccomp, _SET_MODE_FILTER, _SYNC_THREADS, ctypes.byref(program))
    return bool(answer == 0)
