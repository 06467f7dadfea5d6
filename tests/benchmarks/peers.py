"""Peers run in an environment of their own, made on demand: they are no dependencies of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

from tests.benchmarks.measure import Figure

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = REPOSITORY / ".venv-peers"
PACKAGES = (
    "trackers==2.6.1",
    "supervision",
    # What our own half of the comparison needs there.
    "scipy",
    "pydantic",
    "pyyaml",
    "simpleeval",
)


def measure_r7() -> Figure:
    """Tracker and counter ÷ the ``trackers`` package's ByteTrack, in one process, in turns."""
    child = subprocess.run(
        [str(_make_environment()), "-m", "tests.benchmarks.r7_tracking"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(child.stdout)
    return Figure(
        "R7",
        report["goal"],
        "at most",
        report["ratios"],
        f"100 objects: ours {report['ours_ms_per_frame']} ms a frame, "
        f"ByteTrack {report['peer_ms_per_frame']} ms",
    )


def _make_environment() -> Path:
    """The interpreter of the peers; installed once, and again when their list changes."""
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "packages"
    wanted = "\n".join(PACKAGES)
    if not stamp.is_file() or stamp.read_text() != wanted:
        sys.stderr.write(f"Installing {', '.join(PACKAGES)} into {ENVIRONMENT.name} …\n")
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *PACKAGES], check=True)
        stamp.write_text(wanted)
    return python
