"""Sets limits on itself, then becomes the given command: ``launch.py PARENT NAME=NUMBER… -- …``.

Run as a file by ``server.lib.children``. The limits hold before the first byte of the command
runs, and no code runs between fork and exec of a process that has threads.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _lower(name: str, limit: int) -> None:
    """Set both limits, unless a stricter one is in force already."""
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (lowest, lowest))


def _die_with(parent: int) -> None:
    """A worker that is killed takes its child with it; exit where it is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the process that started this is gone")


def main(arguments: list[str]) -> None:
    """Never returns."""
    split = arguments.index("--")
    parent, *limits = arguments[:split]
    command = arguments[split + 1 :]
    _die_with(int(parent))
    for limit in limits:
        name, _, value = limit.partition("=")
        _lower(name, int(value))
    os.execv(command[0], command)  # noqa: S606 - an argument list of the server's own making


if __name__ == "__main__":
    main(sys.argv[1:])
