"""A day in the life of a box, compressed: one fault after the other, and a balance at the end."""

from __future__ import annotations

import sqlite3
import sys

from inference_core.contract.device import ProbationLimits
from inference_core.contract.telemetry import Summary
from tests.agent.device import PROFILE, grey_png
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository
from tests.faults.evidence import assert_all_accounted_for, bodies, event_names, waiting
from tests.faults.quick import QuickDevice
from tests.faults.small_disk import SmallDisk


def test_after_a_day_of_faults_every_record_is_accounted_for(
    quick: QuickDevice, small_disk: SmallDisk, server: Simulator, repository: SignedRepository
) -> None:
    good = repository.add_release("good", profile=PROFILE, counter=1)
    deployments = [server.assign(good)]
    quick.switch_on(**REAL_CHILD)
    quick.wait(lambda: deployments[0].terminal_reports, "06:00 the first release is committed")
    quick.wait(lambda: bodies(server, Summary), "judging parts")
    free_bytes = small_disk.free_bytes

    server.is_down = True
    quick.wait(lambda: waiting(quick) > 10, "08:00 a backlog, while the server is away")
    server.is_down = False
    quick.wait(lambda: waiting(quick) < 5, "delivered")

    small_disk.fill()
    quick.wait(lambda: "the outbox: lost" in quick.log, "10:00 the disk is full")
    small_disk.clear()
    quick.wait(lambda: "the outbox: recovered" in quick.log, "room again")

    (quick.pictures / "part.png").unlink()
    quick.wait(lambda: _lost(server) > 0, "12:00 the camera is gone, and that is told")
    assert quick.running == good.sha256
    (quick.pictures / "part.png").write_bytes(grey_png(16))
    judged = _judged(server)
    quick.wait(lambda: _judged(server) > judged, "the camera is back")

    newer = repository.add_release("newer", profile=PROFILE, counter=2)
    deployments.append(server.assign(newer))
    quick.wait(lambda: "probation" in deployments[1].phases, "14:00 an update")
    quick.pull_the_plug()
    quick.switch_on(**REAL_CHILD)
    quick.wait(lambda: deployments[1].terminal_reports, "committed after the power cut")

    bad = repository.add_release("bad", profile=PROFILE, counter=3, behaviour={"nan_from_run": 0})
    deployments.append(server.assign(bad, probation=ProbationLimits(min_frames=30)))
    quick.wait(lambda: deployments[2].terminal_reports, "16:00 rolled back")
    quick.wait(lambda: quick.running == newer.sha256, "the last good release")
    judged = _judged(server)
    quick.wait(lambda: _judged(server) > judged, "judging parts")

    quick.wait(lambda: waiting(quick) < 5, "18:00 the backlog is gone")
    quick.switch_off()
    quick.switch_on(summary_every_s=3600, health_every_s=3600, **REAL_CHILD)
    quick.wait(lambda: not waiting(quick), "everything is delivered")
    quick.switch_off()

    phases = [[str(report.phase) for report in one.terminal_reports] for one in deployments]
    assert phases == [["committed"], ["committed"], ["rolled_back"]]
    assert_all_accounted_for(server)
    assert _waiting_reports(quick) == 0
    assert quick.children() == []
    assert quick.leftovers() == []
    assert small_disk.free_bytes > free_bytes - 2_000_000
    assert "inference-down" not in event_names(server)


REAL_CHILD = {"python": sys.executable, "child_args": ["-m", "inference_core", "serve"]}


def _judged(server: Simulator) -> int:
    return sum(summary.frames for summary in bodies(server, Summary))


def _lost(server: Simulator) -> int:
    return sum(sum(summary.lost.values()) for summary in bodies(server, Summary))


def _waiting_reports(quick: QuickDevice) -> int:
    connection = sqlite3.connect(f"file:{quick.state}/journal.sqlite?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM report").fetchone()[0])
    finally:
        connection.close()
