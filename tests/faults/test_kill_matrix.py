"""The kill matrix: step × SIGKILL before each change to the disk × what was on the disk.

A row is a step. The power is cut before the first change that the step makes to the disk, then,
in the next deployment of the same device, before the second one (``every`` leaves some out), and
so on until the step comes to its end uncut. Changes are renames, removals, new folders, links,
files and processes, fsyncs and commits. After every cut: exactly one release runs, one terminal
report stands at the server, nothing is left over, and the next deployment works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest

from inference_core.contract.device import ProbationLimits
from inference_core.contract.release import TargetRef
from inference_core.contract.window import UpdateWindow, WindowSlot
from inference_core.contract.words import DeploymentPhase
from tests.agent.device import PROFILE
from tests.agent.gateway_simulator import Deployment, Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.power_cut import PowerCut
from tests.faults.quick import QuickDevice

Litter = Callable[[QuickDevice, TargetRef, SignedRepository], None]


def nothing(_device: QuickDevice, _release: TargetRef, _repository: SignedRepository) -> None:
    """The disk is as the last deployment left it."""


def half_a_download(device: QuickDevice, release: TargetRef, repository: SignedRepository) -> None:
    artifact = repository.artifact_of(release)
    content = repository.files[repository.target_file(artifact)]
    part = device.state / "blobs/partial" / f"{artifact.sha256}.part"
    part.write_bytes(content[: len(content) // 2])


def a_rotten_blob(device: QuickDevice, release: TargetRef, repository: SignedRepository) -> None:
    artifact = repository.artifact_of(release)
    (device.state / "blobs/sha256" / artifact.sha256).write_bytes(b"\0" * artifact.length)


def half_a_release(device: QuickDevice, release: TargetRef, _repository: SignedRepository) -> None:
    folder = device.state / "releases" / release.sha256
    folder.mkdir()
    (folder / "manifest.json").write_bytes(b"")
    (folder / ".manifest.json.x1y2.unfinished").write_bytes(b'{"release":')


def an_old_job(device: QuickDevice, _release: TargetRef, _repository: SignedRepository) -> None:
    (device.state / "run/job-0123456789ab-1.json").write_bytes(b"{}")
    (device.state / "run/.job-0123456789ab-1.json.x1y2.unfinished").write_bytes(b"{")


def half_a_link(device: QuickDevice, _release: TargetRef, _repository: SignedRepository) -> None:
    (device.state / ".current.new").symlink_to("releases/nowhere")


COMMITTED = "new", "committed", None
ROLLED_BACK = "old", "rolled_back", "not_finite"
REJECTED = "old", "rejected", "old_counter"


class Row(NamedTuple):
    """``runs``, ``report`` and ``cause``: what every single cut of this row must end with."""

    step: str
    on_disk: Litter
    end: tuple[str, str, str | None]
    thread: str = "MainThread"
    takes_child: bool = False
    every: int = 1

    def __str__(self) -> str:
        with_child = "-and_child" if self.takes_child else ""
        return f"{self.step}{with_child}-{self.on_disk.__name__}-{self.end[1]}"


# fmt: off
MATRIX = [
    #   killed in         on the disk before  must end as
    Row("start",          nothing,            COMMITTED),
    Row("start",          an_old_job,         COMMITTED, takes_child=True, every=4),
    Row("acknowledge",    nothing,            COMMITTED),
    Row("download",       nothing,            COMMITTED),
    Row("download",       half_a_download,    COMMITTED, every=7),
    Row("download",       a_rotten_blob,      COMMITTED, every=11),
    Row("verify",         nothing,            COMMITTED),
    Row("stage",          nothing,            COMMITTED),
    Row("stage",          half_a_release,     COMMITTED),
    Row("wait_window",    nothing,            COMMITTED),
    Row("activate",       nothing,            COMMITTED),
    Row("activate",       an_old_job,         COMMITTED, takes_child=True),
    Row("probe",          nothing,            COMMITTED),
    Row("probe",          nothing,            COMMITTED, takes_child=True),
    Row("commit",         nothing,            COMMITTED),
    Row("commit",         half_a_link,        COMMITTED, takes_child=True),
    Row("roll_back",      nothing,            ROLLED_BACK),
    Row("roll_back",      an_old_job,         ROLLED_BACK, takes_child=True),
    Row("give_up",        nothing,            REJECTED),
    Row("give_up",        half_a_download,    REJECTED),
    Row("reporting",      nothing,            COMMITTED, thread="courier"),
    Row("reporting",      nothing,            ROLLED_BACK, thread="courier"),
    Row("keeping",        nothing,            COMMITTED, thread="keeper"),
]
# fmt: on
DURING = {"reporting": "always", "keeping": "always"}
MOST_CUTS = {"reporting": 8, "keeping": 8}
"""Threads beside the loop never come to an end: there, so many cuts must do."""


class Bench:
    """One device that lives through a whole row: its disk is older with every cut."""

    def __init__(self, folder: Path, server: Simulator, repository: SignedRepository) -> None:
        self.device = QuickDevice(folder, server)
        self._server, self._repository = server, repository
        self._counter = 1000
        self.old = self._add_release()
        self.await_end(self._server.assign(self.old), self.old)
        self.device.switch_off()

    def await_end(self, deployment: Deployment, release: TargetRef) -> None:
        """Let the agent run until the server knows the end, and what the device runs."""
        self._wait(lambda: deployment.terminal_reports, "ended")
        self._wait(lambda: self.device.running == release.sha256, "running it")
        self._wait(lambda: len(self.device.children()) == 1, "one child, and only one")

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        """A cut may also come late, in a thread beside the loop: the power comes back then.

        What holds without it says nothing: the agent that was started must have asked since.
        """
        polls = -1

        def holds() -> bool:
            nonlocal polls
            if not self.device.is_on:
                polls = len(self._server.reports)
                self.device.switch_on()
            return len(self._server.reports) > polls and bool(condition())

        self.device.wait(holds, what)

    def cut(self, row: Row, nth: int) -> bool:
        """One deployment with one cut; False when the step came to its end uncut."""
        release = self._release_for(row)
        row.on_disk(self.device, release, self._repository)
        window = _shut_window() if row.step == "wait_window" else None
        limits = ProbationLimits(min_frames=3)
        deployment = self._server.assign(release, probation=limits, window=window)
        during = DURING.get(row.step, row.step)
        self.device.switch_on(PowerCut(during, nth, row.thread, row.takes_child))
        if row.step == "wait_window":
            self._open_window_for(deployment)
        self.device.wait(lambda: self.device.was_cut or deployment.terminal_reports, "cut or ended")
        polls = len(self._server.reports)  # the loop asks again when its step is over
        self.device.wait(
            lambda: self.device.was_cut or len(self._server.reports) > polls, "cut or idle"
        )
        was_cut, new_runs = self.device.was_cut, row.end[0] == "new"
        self._examine(row, deployment, release if new_runs else self.old)
        if was_cut:
            self.device.switch_off()
        else:
            self.device.pull_the_plug()
            polls = len(self._server.reports)
            self._wait(lambda: len(self._server.reports) > polls, "running again")
            self.device.switch_off()
        assert self.device.leftovers() == []
        self.old = release if new_runs else self.old
        return was_cut

    def _open_window_for(self, deployment: Deployment) -> None:
        def waits() -> bool:  # errands run meanwhile, so a cut may come before this is told
            return self.device.was_cut or deployment.phase is DeploymentPhase.WAITING_WINDOW

        self.device.wait(waits, "waiting")
        goal = self._server.goal
        open_now = {"generation": goal.generation + 1, "window": None}
        self._server.goal = goal.model_copy(update=open_now)

    def _examine(self, row: Row, deployment: Deployment, expected: TargetRef) -> None:
        if self.device.was_cut:
            assert self.device.current in (self.old.sha256, expected.sha256)
        self.await_end(deployment, expected)
        assert self.device.current == expected.sha256
        (report,) = deployment.terminal_reports
        assert (str(report.phase), report.error and str(report.error.cause)) == row.end[1:]
        assert report.running_sha256 == expected.sha256

    def _release_for(self, row: Row) -> TargetRef:
        if row.end is REJECTED:
            return self._add_release(counter=1)
        return self._add_release({"nan_from_run": 0} if row.end is ROLLED_BACK else {})

    def _add_release(
        self, behaviour: dict[str, object] | None = None, counter: int | None = None
    ) -> TargetRef:
        self._counter += 1
        return self._repository.add_release(
            f"r{self._counter}",
            profile=PROFILE,
            counter=counter or self._counter,
            behaviour=behaviour,
        )


def _shut_window() -> UpdateWindow:
    """Open for a minute, twelve hours from now."""
    opens_at = datetime.now(timezone.utc) + timedelta(hours=12)
    return UpdateWindow(slots=(WindowSlot(starts_at=f"{opens_at:%H:%M}", duration_min=1),))


@pytest.fixture
def bench(tmp_path: Path, server: Simulator, repository: SignedRepository) -> Iterator[Bench]:
    bench = Bench(tmp_path, server, repository)
    yield bench
    bench.device.stop()


@pytest.mark.parametrize("row", MATRIX, ids=str)
def test_a_power_cut_before_any_change_to_the_disk_ends_as_the_table_says(
    bench: Bench, row: Row
) -> None:
    cuts = 0
    while bench.cut(row, 1 + cuts * row.every) and cuts < MOST_CUTS.get(row.step, 1000):
        cuts += 1
    assert cuts, "nothing was cut: the row tests nothing"
