"""A full disk on a builder is nobody's bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.build_jobs import build, make_job
from tests.core.onnx_models import brightness_model
from tests.faults.small_disk import SmallDisk, may_mount


def test_a_build_whose_disk_is_full_is_not_final(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    if not may_mount(output):
        pytest.skip("needs root, and a kernel that lets root mount a small file system")
    job = make_job(tmp_path, brightness_model())
    with SmallDisk(output, size_mib=1) as disk:
        disk.fill()
        full = build(tmp_path, job).outcome
        disk.clear()
        outcome = build(tmp_path, job).outcome

    assert (full.outcome, full.is_final) == ("failed", False)
    assert "No space left on device" in full.reason
    assert outcome.outcome == "succeeded"
