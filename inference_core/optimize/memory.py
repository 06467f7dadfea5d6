"""How much memory an artifact adds to a process that has its runtime, measured in a child."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from inference_core.contract.base import Message
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.words import ComputeDevice, RuntimeName
from inference_core.errors import CoreError

_TIMEOUT_S = 120
_RUNS = 2


class MemoryQuestion(Message):
    """What the child loads and runs."""

    artifact: str
    manifest: ModelManifest
    runtime: RuntimeName
    threads: int
    compute_device: ComputeDevice = ComputeDevice.CPU


def measure_peak_memory(question: MemoryQuestion) -> int:
    """Bytes of resident memory at the peak of load and first runs, beyond the bare runtime.

    A fresh process, because memory that this one freed would be taken again unseen. Where loading
    the runtime itself took more for a moment, that moment is the peak: too much is told then, and
    never too little.
    """
    child = subprocess.run(
        [sys.executable, "-m", "inference_core.optimize.memory"],
        input=question.to_json(),
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if child.returncode != 0:
        words = child.stderr.decode(errors="replace").strip().splitlines()
        raise CoreError(f"the artifact does not run on its own: {words[-1] if words else 'killed'}")
    return int(child.stdout.split()[-1])


def _answer(question: MemoryQuestion) -> int:
    from inference_core.runtimes.base import SessionOptions, run_on_zeros
    from inference_core.runtimes.lookup import get_runtime

    runtime = get_runtime(question.runtime)
    runtime.version()
    before = _read_status_bytes("VmRSS")
    options = SessionOptions(threads=question.threads, compute_device=question.compute_device)
    session = runtime.load(Path(question.artifact), question.manifest, options)
    for _ in range(_RUNS):
        run_on_zeros(session)
    return max(_read_status_bytes("VmHWM") - before, 0)


def _read_status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(_answer(MemoryQuestion.model_validate_json(sys.stdin.buffer.read())))
