"""Row 23 and 24: a clock at 1970, and one that is ten years ahead, in the real agent."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.agent.device import PROFILE, Device
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository

pytestmark = pytest.mark.faketime

IN_1970 = datetime(1970, 1, 1, 0, 1, tzinfo=timezone.utc)


class Clock:
    """The time of day in every process that is started from now on; it may be set meanwhile.

    Monotonic clocks stay real, as they do on a box whose time of day jumps.
    """

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = file
        (library, *_) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self.set_ahead(timedelta())
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
        monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        monkeypatch.setenv("DONT_FAKE_MONOTONIC", "1")

        # libfaketime answers EINVAL to the absolute sleep that Python's time.sleep asks for.
        site = file.with_name("site")
        site.mkdir()
        (site / "sitecustomize.py").write_text(
            "import select, time\ntime.sleep = lambda s: select.select([], [], [], s)\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(site))

    def set_ahead(self, ahead: timedelta) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{ahead.total_seconds():+.0f}")
        fresh.replace(self._file)  # a process may be reading it

    def set_to(self, moment: datetime) -> None:
        self.set_ahead(moment - datetime.now(timezone.utc))


def years(server: Simulator) -> set[int]:
    """In which the device says that its records were made."""
    return {record.captured_at.year for _, record in list(server.records)}


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(tmp_path / "clock", monkeypatch)


@pytest.mark.parametrize("has_been_right_before", [False, True])
def test_at_1970_updates_are_frozen_and_telemetry_is_stamped_until_the_clock_is_right(
    device: Device,
    server: Simulator,
    repository: SignedRepository,
    clock: Clock,
    has_been_right_before: bool,
) -> None:
    if has_been_right_before:
        assert device.once().returncode == 0
    repository.lifetime = -timedelta(days=365)  # what would look fresh in 1970
    release = repository.add_release("r1", profile=PROFILE, counter=1)
    server.assign(release)
    clock.set_to(IN_1970)
    device.start()
    device.wait(lambda: "updates are frozen: the clock says 1970" in device.log, "frozen")
    device.wait(lambda: 1970 in years(server), "telemetry all the same, by its own clock")
    assert device.current is None
    repository.lifetime = timedelta(days=1)
    repository.publish()
    clock.set_ahead(timedelta())
    device.wait(lambda: device.current == release.sha256, "updated with the right time")


def test_ten_years_ahead_it_fails_closed_keeps_running_and_heals(
    device: Device, server: Simulator, repository: SignedRepository, clock: Clock
) -> None:
    old, new = (repository.add_release(f"r{n}", profile=PROFILE, counter=n) for n in (1, 2))
    server.assign(old)
    assert device.once().returncode == 0
    clock.set_ahead(timedelta(days=3650))
    deployment = server.assign(new)
    device.start()
    device.wait(lambda: "updates are frozen" in device.log, "frozen")
    assert "expired" in device.log
    device.wait(lambda: device.running == old.sha256, "the old release running")
    assert device.current == old.sha256
    assert deployment.terminal_reports == []
    clock.set_ahead(timedelta())
    device.wait(lambda: device.current == new.sha256, "healed: its floor was not moved ahead")
