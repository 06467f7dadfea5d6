"""Gives up the network, all other files and most resources before a foreign file is opened."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import inference_core
from inference_core.inspection import landlock, seccomp
from inference_core.inspection.landlock import Access

logger = logging.getLogger(__name__)

MEMORY_BYTES = 4 * 1024**3
CPU_S = 60
FILE_BYTES = 16 * 1024**2  # the answer only
OPEN_FILES = 64

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CAPABILITY_VERSION = 0x20080522

_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt"),
    *("/proc", "/sys", "/run/udev"),
)
_SETTINGS = (
    *("ld.so.cache", "localtime", "nsswitch.conf", "passwd", "group", "alternatives"),
    *("ssl/openssl.cnf", "OpenCL", "vulkan", "glvnd", "nvidia", "nv_tegra_release"),
)
"""Of /etc, what libraries look at; the rest of it may hold secrets."""
_DEVICES = (
    *("null", "zero", "full", "random", "urandom"),
    *("nvidia*", "nvhost*", "nvmap", "nvgpu", "nvsci*", "host1x*", "dri", "accel", "kfd", "dxg"),
    *("apex_*", "bus/usb"),
)
"""Below /dev: sources of numbers, and accelerators; neither disks nor memory that others share."""
TOOLS = ("LINEWARDEN_LITERT_PYTHON",)
"""Variables that name interpreters which a build starts."""


def shut_in(*, read: Iterable[Path] = (), write: Sequence[Path] = ()) -> None:
    """Leave this process no network, no capabilities, and only files that it is to work with.

    Those are ``read`` and ``write``, files or folders, the folders for temporary files and caches
    that the environment names, and the system's own, to be read. Where it names none, temporary
    files go to the first of ``write``. What the kernel cannot refuse is told in the log. Call it
    before anything starts a thread.
    """
    drop_network()
    for folder in write[:1]:
        os.environ.setdefault("TMPDIR", str(folder.absolute()))
    grants = dict.fromkeys(map(Path, _SYSTEM), Access.READ)
    grants |= dict.fromkeys((Path("/etc", name) for name in _SETTINGS), Access.READ)
    devices = (path for name in _DEVICES for path in Path("/dev").glob(name))
    grants |= dict.fromkeys(devices, Access.USE)
    core = Path(inference_core.__file__).parent
    grants[core.parent] = Access.READ_DIR  # where Python looks for it
    grants |= dict.fromkeys((core, *_programs(), *read), Access.READ)
    grants |= dict.fromkeys((*_scratch(), *write), Access.OWN)
    if not landlock.keep_to(grants):
        logger.warning("this process may still open other files: the kernel has no Landlock")
    _drop_capabilities()


def _programs() -> Iterator[Path]:
    """This Python with its packages, that of tools, and where commands and libraries are found."""
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix})
    yield from (Path(path) for path in sys.path if path.endswith("-packages"))
    for tool in (Path(os.environ[name]) for name in TOOLS if name in os.environ):
        yield from {tool.parent.parent, tool.resolve().parent.parent}
    folders = [*os.get_exec_path(), *os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)]
    yield from (path for path in map(Path, folders) if len(path.parts) > 1)


def _drop_capabilities() -> None:
    """Leave root what any owner of its files may do: capset(2), for this thread and later ones."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        logger.warning("capabilities were kept: %s", os.strerror(ctypes.get_errno()))


def _scratch() -> Iterator[Path]:
    if folder := os.environ.get("TMPDIR"):
        yield Path(folder)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        yield Path(cache, "linewarden")


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
