"""The journal and the outbox have fsynced what they were told before they return."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.device import REPOSITORY

pytestmark = pytest.mark.strace

_MARK = "/the-call-has-returned"

_OUTBOX = """
outbox = Outbox.open(folder / "outbox.sqlite", limit_bytes=1 << 20)
for _ in range(3):
    outbox.append(Event(name="started"))
    mark()
outbox.acknowledge(outbox.boot_id, 1)
mark()
"""

_JOURNAL = """
journal = Journal.open(folder / "journal.sqlite")
ref = TargetRef(path="x86/releases/r.json", sha256="a" * 64, length=1)
goal = Goal(generation=1, release=ref, deployment=DeploymentRef(id=uuid.uuid4(), version=0))
journal.remember_goal(goal, None)
mark()
journal.take(goal, None)
mark()
journal.enter(Step.DOWNLOAD)
mark()
journal.fail(ProgressError(cause="download", detail=""))
mark()
journal.end(DeploymentPhase.FAILED, None)
mark()
journal.raise_counter_floor(3)
mark()
"""

_HEAD = f"""
import os, sys, uuid
from pathlib import Path
from device_agent.deployment import Step
from device_agent.journal import Journal
from device_agent.outbox import Outbox
from inference_core.contract.device import DeploymentRef, Goal, ProgressError
from inference_core.contract.release import TargetRef
from inference_core.contract.telemetry import Event
from inference_core.contract.words import DeploymentPhase

folder = Path(sys.argv[1])

def mark():
    os.path.exists({_MARK!r})

mark()
"""


@pytest.mark.parametrize(
    ("name", "program", "calls"), [("outbox", _OUTBOX, 4), ("journal", _JOURNAL, 6)]
)
def test_every_change_is_on_the_disk_when_the_call_returns(
    tmp_path: Path, name: str, program: str, calls: int
) -> None:
    trace = tmp_path / "trace"
    watched = "trace=fsync,fdatasync,pwrite64,write,stat,newfstatat,statx"
    strace = ["strace", "-f", "-y", "-e", watched, "-o", str(trace)]
    script = [sys.executable, "-c", _HEAD + program, str(tmp_path)]
    subprocess.run([*strace, *script], cwd=REPOSITORY, check=True, timeout=60)
    before, *between, _after = trace.read_text().split(_MARK)
    assert before
    assert len(between) == calls
    log = f"{tmp_path}/{name}.sqlite-wal>"
    for part in between:
        lines = [line for line in part.splitlines() if log in line]
        assert any("write" in line for line in lines), f"nothing was written:\n{part}"
        assert "fdatasync" in lines[-1], f"the last word to the log is no fsync:\n{part}"
