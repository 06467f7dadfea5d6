"""Opens a TFLite file in a process of its own, for a broken one can take the process with it.

Tried with ai-edge-litert 2.3.0: of 1,740 damaged copies of a model, three ended in a
segmentation fault; the library verifies the flatbuffer, but not what its numbers mean.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from inference_core.errors import LoadFailed

EDGE_TPU_OPERATOR = "edgetpu-custom-op"

_TIMEOUT_S = 120
_MAX_WORDS = 2000


def probe(path: Path) -> bool:
    """Load and run ``path`` once on zeros; whether it was compiled for the Edge TPU.

    A file for the Edge TPU is loaded, but not run: its operator lives in the delegate. Costs the
    start of a process. Raises ``LoadFailed``.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{path.name} does not come to an end in {_TIMEOUT_S} s") from error
    if child.returncode == 0:
        return False
    words = child.stderr.decode(errors="replace")
    if child.returncode == 1 and EDGE_TPU_OPERATOR in words:
        return True
    if child.returncode < 0:
        raise LoadFailed(
            f"{path.name} brings LiteRT down (signal {-child.returncode}): the file is damaged"
        )
    raise LoadFailed(f"LiteRT does not load {path.name}: {_last_words(words)}")


def _last_words(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip()]
    return lines[-1][:_MAX_WORDS] if lines else "no reason given"


def _run_once(path: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()


if __name__ == "__main__":
    _run_once(sys.argv[1])
