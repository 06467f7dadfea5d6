"""Starts a foreign tool without a network and within limits: this process becomes the tool."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference_core.inspection.sandbox import drop_network

_MEMORY_BYTES = 16 * 1024**3  # address space, of which the converter maps far more than it uses
_FILE_BYTES = 2 * 1024**3
_LIMITS = {
    resource.RLIMIT_AS: _MEMORY_BYTES,
    resource.RLIMIT_FSIZE: _FILE_BYTES,
    resource.RLIMIT_CORE: 0,
}


@dataclass(frozen=True)
class Ending:
    """How a tool ended; ``words`` is what it wrote to standard error and output."""

    code: int
    words: str

    @property
    def last_words(self) -> str:
        """The last line that says something."""
        lines = [line for line in self.words.replace("\r", "\n").splitlines() if line.strip()]
        return lines[-1].strip()[:500] if lines else "it said nothing"


def run_jailed(arguments: Sequence[str], folder: Path, timeout_s: float) -> Ending:
    """Run a tool in ``folder``, its home too. Raises ``TimeoutError``; the tool is dead then."""
    log = folder / "words.log"
    with log.open("wb") as words:
        tool = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = tool.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"it took more than {timeout_s:.0f} s") from error
        finally:
            _end(tool)
    return Ending(code, log.read_bytes()[-20_000:].decode(errors="replace"))


def _end(tool: subprocess.Popen[bytes]) -> None:
    """Its helpers too: the tool leads a process group of its own until it is waited for."""
    if tool.returncode is None:
        os.killpg(tool.pid, signal.SIGKILL)
        tool.wait()


def _become(folder: str, arguments: list[str]) -> None:
    drop_network()
    for kind, limit in _LIMITS.items():
        _, hard = resource.getrlimit(kind)
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lowest, lowest))
    os.chdir(folder)
    environment = {
        "HOME": folder,
        "TMPDIR": folder,
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",  # equal models give equal bytes
        "OMP_NUM_THREADS": "2",
    }
    os.execve(arguments[0], arguments, environment)  # noqa: S606  # no shell is what is wanted


if __name__ == "__main__":
    _become(sys.argv[1], sys.argv[2:])
