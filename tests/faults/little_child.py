"""An inference child of the standard library alone: it starts in 30 ms and speaks the contract.

Where a fault test is not about the child, this one stands in for it, so that a hundred power cuts
take minutes. It knows ``nan_from_run`` and ``fail_at_load`` of the fake runtime's artifact.
"""

import json
import os
import select
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_FRAME_EVERY_S = 0.01


def main(job_path: str) -> None:
    job = json.loads(Path(job_path).read_text())
    behaviour = _behaviour(job)
    if behaviour.get("fail_at_load"):
        _say({"event": "fatal", "cause": "load_failed", "detail": behaviour["fail_at_load"]})
        sys.exit(1)
    memory = {"rss_bytes": 1000}
    _say({"event": "ready", "release_sha256": job["release_sha256"], "load_ms": 1.0, **memory})
    paused, done = job.get("paused", False), 0
    while True:
        paused = _obey(paused)
        if not paused and job["cameras"]:
            _say(_frame(job["cameras"][0]["name"], done, has_nan="nan_from_run" in behaviour))
            done += 1
        counts = {"captured": done, "done": done, "lost": 0, "paused": paused}
        _say({"event": "heartbeat", **memory, **counts})


def _behaviour(job: dict[str, Any]) -> dict[str, Any]:
    (path,) = job["artifacts"].values()
    behaviour: dict[str, Any] = json.loads(Path(path).read_text())
    return behaviour


def _obey(paused: bool) -> bool:
    """Wait for the next frame, or for a command; the end of the pipe is the agent's death."""
    ready, _, _ = select.select([0], [], [], 0.2 if paused else _FRAME_EVERY_S)
    if not ready:
        return paused
    lines = os.read(0, 65536).decode().splitlines()
    if not lines:
        sys.exit(3)
    for line in lines:
        word = json.loads(line)["command"]
        if word == "stop":
            sys.exit(0)
        if word in ("pause", "resume"):
            paused = word == "pause"
    return paused


def _frame(camera: str, sequence: int, *, has_nan: bool) -> dict[str, Any]:
    took = {"preprocess": 0.1, "infer": 0.1, "postprocess": 0.1, "total": 0.3}
    fault = {"fault": "not_finite"} if has_nan else {}
    result = {
        "camera": camera,
        "sequence": sequence,
        "source": "part.png",
        "captured_at": datetime.now(timezone.utc).isoformat(),
        "width": 16,
        "height": 16,
        "verdict": "fail",
        "stages": [{"stage": "defects", "latency_ms": took, **fault}],
        "latency_ms": 0.5,
        "budget_ms": 1000,
    }
    return {"event": "frame", "result": result}


def _say(event: dict[str, Any]) -> None:
    """A closed pipe ends this process, as it does the real one."""
    os.write(1, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    try:
        main(sys.argv[sys.argv.index("--job") + 1])
    except BrokenPipeError:
        sys.exit(3)
