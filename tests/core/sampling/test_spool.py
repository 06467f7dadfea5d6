"""The pictures of sampled frames on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.picture import read_picture
from inference_core.pipeline import spool as spools
from inference_core.pipeline.sampling import Sampler
from inference_core.pipeline.spool import Spool
from tests.core.sampling.world import GREY, always, job, result


def test_it_takes_the_first_frame_of_each_camera_and_waits(tmp_path: Path) -> None:
    never_again = Sampler(job(cameras=("left", "right"), sample_every_s=3600), lambda: 0.999)
    spool = Spool(tmp_path / "spool", never_again)
    first = spool.offer(GREY, result(camera="left"))
    assert spool.offer(GREY, result(camera="left")) is None
    other = spool.offer(GREY, result(camera="right"))
    assert first
    assert other
    assert first.path
    assert read_picture(first.path).shape == GREY.shape
    assert sorted(tmp_path.glob("spool/*")) == sorted([first.path, other.path])


def test_one_that_nobody_empties_stops_growing_and_says_what_was_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "MAX_WAITING", 2)
    spool = Spool(tmp_path, always())
    taken = [spool.offer(GREY, result()) for _ in range(5)]
    assert [bool(sample and sample.path) for sample in taken] == [True, True, False, False, False]
    assert all(sample and sample.draw.reason == "random" for sample in taken)


def test_a_folder_that_vanishes_costs_the_picture_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", always())
    (tmp_path / "spool").rmdir()
    sample = spool.offer(GREY, result())
    assert sample
    assert sample.path is None
