"""Sampled pictures on their way: budget, limit, and an honest count of what was dropped."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from device_agent.sampling.losses import SampleLosses
from device_agent.sampling.sampler import Sampler
from device_agent.sampling.samples import Samples
from device_agent.sampling.upload_budget import UploadBudget
from inference_core.contract.device import DeviceConfig
from inference_core.contract.results import FrameResult
from inference_core.contract.sampling import SampleDraw, SampleReason, SamplingPolicy
from inference_core.contract.serve import Camera, FrameDone, SetSampleRates
from inference_core.contract.telemetry import MAX_SAMPLE_BYTES
from inference_core.contract.words import VerdictWord

SHA256 = "a" * 64
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
PHASH = "00ff00ff00ff00ff"


@dataclass
class Bench:
    """The folder of samples with all that belongs to it."""

    folder: Path
    limit: int = 3
    bytes_per_day: int = 20_000_000
    number: int = 0
    rates: list[SetSampleRates] = field(default_factory=list)
    notices: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spool = self.folder / "spool"
        self.spool.mkdir()
        self.budget = UploadBudget(self.folder / "budget.json", self.device)
        self.losses = SampleLosses(self.folder / "losses.json")
        self.samples = Samples(
            self.folder / "samples",
            self.spool,
            limit=self.limit,
            device=self.device,
            budget=self.budget,
            losses=self.losses,
        )
        self.sampler = Sampler(
            self.budget,
            self.losses,
            set_rates=self.rates.append,
            notice=lambda name, detail: self.notices.append((name, detail)),
        )

    def device(self) -> DeviceConfig:
        camera = Camera(name="top", address="file:///x", frames_per_s=10)
        policy = SamplingPolicy(bytes_per_day=self.bytes_per_day)
        return DeviceConfig(cameras=(camera,), sample_every_s=2, sampling=policy)

    def keep(
        self, reason: SampleReason | None = "random", content: bytes | None = None
    ) -> FrameDone:
        """One more frame arrives from the child, a second after the one before."""
        self.number += 1
        path = self.spool / f"top-{self.number}.jpg"
        path.write_bytes(content if content is not None else b"picture %d" % self.number)
        os.utime(path, (self.number, self.number))
        draw = SampleDraw(probability=0.25, reason=reason, phash=PHASH) if reason else None
        event = FrameDone(result=self.frame(), sample_path=str(path), sample=draw)
        self.samples.keep(SHA256, event)
        return event

    def frame(self) -> FrameResult:
        return FrameResult(
            camera="top",
            sequence=self.number,
            source="x.png",
            captured_at=NOON + timedelta(seconds=self.number),
            width=1,
            height=1,
            verdict=VerdictWord.PASS,
            stages=(),
            latency_ms=5,
            budget_ms=100,
        )

    def deliver(self) -> list[tuple[int, str]]:
        """Sequence and reason of all that waits, in the order of delivery."""
        delivered = []
        while sample := self.samples.next():
            meta, picture = sample
            assert hashlib.sha256(picture).hexdigest() == meta.sha256
            delivered.append((meta.result.sequence, meta.reason))
            self.samples.remove(meta)
        return delivered

    def told(self, name: str) -> list[str]:
        self.sampler.turn()
        return [detail for known, detail in self.notices if known == name]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_sample_carries_what_the_child_drew(bench: Bench) -> None:
    bench.keep("uncertain")
    sample = bench.samples.next()
    assert sample
    meta, _ = sample
    assert (meta.inclusion_probability, meta.reason, meta.phash) == (0.25, "uncertain", PHASH)
    assert list(bench.spool.iterdir()) == []


def test_of_a_child_that_says_nothing_the_probability_is_that_of_its_clock(bench: Bench) -> None:
    bench.keep(None)
    sample = bench.samples.next()
    assert sample
    assert (sample[0].inclusion_probability, sample[0].reason) == (1 / (10 * 2), "random")


def test_chosen_samples_make_room_first_and_the_oldest_of_them(bench: Bench) -> None:
    for reason in ("random", "uncertain", "random", "diverse", "random", "random"):
        bench.keep(reason)
    assert bench.deliver() == [(3, "random"), (5, "random"), (6, "random")]
    (detail,) = bench.told("samples-dropped")
    assert detail.endswith(": 1 diverse over_limit, 1 random over_limit, 1 uncertain over_limit")


def test_what_is_being_delivered_does_not_make_room(bench: Bench) -> None:
    bench.keep("uncertain")
    in_hand = bench.samples.next()
    assert in_hand
    for _ in range(4):
        bench.keep("random")
    again = bench.samples.next()
    assert again == in_hand


def test_two_frames_of_a_still_scene_are_two_samples(bench: Bench) -> None:
    for _ in range(2):
        bench.keep(content=b"the same bytes")
    assert [sequence for sequence, _ in bench.deliver()] == [1, 2]


def test_a_spent_budget_keeps_nothing_more_and_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limit=100, bytes_per_day=10_000)
    for _ in range(40):
        bench.keep("uncertain", content=b"x" * 700 + os.urandom(8))
    kept = sum(path.stat().st_size for path in (tmp_path / "samples").iterdir())
    assert 6_000 <= kept <= 6_000 + 1_300
    dropped = 40 - len(bench.deliver())
    (detail,) = bench.told("samples-dropped")
    assert detail.endswith(f": {dropped} uncertain over_budget")
    assert bench.rates[-1].chosen == 0
    assert bench.rates[-1].random == 1


def test_a_pause_of_sampling_is_told_once_and_its_end_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, bytes_per_day=0)
    for _ in range(2):
        assert len(bench.told("sampling-paused")) == 1
    assert [rates.random for rates in bench.rates] == [0]
    bench.bytes_per_day = 20_000_000
    assert bench.told("sampling-resumed") == [""]
    assert [rates.random for rates in bench.rates] == [0, 1]


def test_rates_are_told_when_they_have_changed_by_much(bench: Bench) -> None:
    for _ in range(3):
        bench.sampler.turn()
    assert bench.rates == [SetSampleRates(random=1, chosen=1)]
    for _ in range(60):
        bench.budget.grant("uncertain", 100_000)
        bench.sampler.turn()
    chosen = [rates.chosen for rates in bench.rates]
    assert 5 < len(chosen) < 60
    assert all(after < before * 0.95 for before, after in pairwise(chosen))


def test_losses_are_told_at_most_once_an_hour_and_survive_a_power_cut(bench: Bench) -> None:
    bench.keep(content=b"x" * (MAX_SAMPLE_BYTES + 1))
    assert len(bench.told("samples-dropped")) == 1
    bench.samples.keep(SHA256, FrameDone(result=bench.frame(), sample=_draw("diverse")))
    assert len(bench.told("samples-dropped")) == 1
    after_the_cut = SampleLosses(bench.folder / "losses.json")
    details: list[str] = []
    after_the_cut.tell_when_due(details.append)
    assert len(details) == 1
    assert details[0].endswith(": 1 diverse not_written")
    SampleLosses(bench.folder / "losses.json").tell_when_due(details.append)
    assert len(details) == 1


def test_pictures_that_a_killed_child_left_are_counted_and_removed(bench: Bench) -> None:
    (bench.spool / "top-1.jpg").write_bytes(b"x")
    (bench.spool / ".top-2.jpg.half").write_bytes(b"x")
    bench.samples.clear_spool()
    assert list(bench.spool.iterdir()) == []
    (detail,) = bench.told("samples-dropped")
    assert detail.endswith(": 1 unknown left_behind")


def test_a_sample_that_rotted_or_that_the_server_refuses_is_counted(bench: Bench) -> None:
    bench.keep()
    bench.keep("diverse")
    next((bench.folder / "samples").glob("*.json")).write_text("{")
    sample = bench.samples.next()
    assert sample
    bench.samples.refuse(sample[0])
    assert bench.samples.next() is None
    (detail,) = bench.told("samples-dropped")
    assert "1 unknown unreadable" in detail
    assert f"1 {sample[0].reason} refused" in detail


def test_a_disk_that_takes_no_picture_costs_the_sample_and_it_is_counted(bench: Bench) -> None:
    (bench.folder / "samples").rmdir()
    with pytest.raises(FileNotFoundError):
        bench.keep("diverse")
    assert list(bench.spool.iterdir()) == []
    (detail,) = bench.told("samples-dropped")
    assert detail.endswith(": 1 diverse not_written")


def test_a_path_outside_the_spool_is_not_touched(bench: Bench) -> None:
    elsewhere = bench.folder / "elsewhere.jpg"
    elsewhere.write_bytes(b"x")
    bench.samples.keep(SHA256, FrameDone(result=bench.frame(), sample_path=str(elsewhere)))
    assert elsewhere.exists()
    assert bench.samples.next() is None


def test_a_limit_of_none_keeps_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path, limit=0)
    bench.keep()
    assert bench.deliver() == []
    assert list(bench.spool.iterdir()) == []


def _draw(reason: SampleReason) -> SampleDraw:
    return SampleDraw(probability=0.25, reason=reason, phash=PHASH)
