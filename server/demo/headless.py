"""``make demo``: the story once, in a folder that goes away; ends with one JSON object."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from server.demo import story
from server.demo.console import Console, wait_until
from server.demo.place import Place
from server.demo.processes import Ensemble
from server.demo.run import STORY_ERRORS, Interrupted, interruptible
from server.demo.stack import Stack, start_stack

MIN_FRAMES = 30
NO_FIGURES: dict[str, Any] = {"frames": 0, "passed": 0, "failed": 0, "latency_ms": {}}


def demo(data: Path | None, port: int | None) -> int:
    """Tell the story, judge it, print the outcome; 0 only if it held."""
    with nullcontext(str(data)) if data else tempfile.TemporaryDirectory() as folder:
        return _demo(Place(Path(folder), port or free_port()))


def _demo(place: Place) -> int:
    console = Console()
    outcome: dict[str, Any] = {"ok": False, "rollouts": [], "devices": []}
    try:
        with Ensemble(place.data / "logs", place.environment) as ensemble, interruptible():
            stack = start_stack(place, ensemble, console)
            story.tell(stack)
            outcome = wait_for_outcome(stack)
    except Interrupted:
        outcome["error"] = "interrupted"
    except STORY_ERRORS as error:
        outcome["error"] = str(error)
    outcome["seconds"] = round(console.seconds, 1)
    json.dump(outcome, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if outcome["ok"] else 1


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_outcome(stack: Stack) -> dict[str, Any]:
    """Give telemetry time to arrive, then judge."""
    outcome: dict[str, Any] = {}

    def look() -> str | None:
        stack.check()
        outcome.update(judge(stack))
        return None if outcome["ok"] else f"waiting for evidence: {'; '.join(outcome['missing'])}"

    wait_until(look, console=stack.console, timeout_s=90, pause_s=2)
    del outcome["missing"]
    return outcome


def judge(stack: Stack) -> dict[str, Any]:
    """What came out, and what is missing for the story to have held."""
    rollouts = {row["name"]: row for row in stack.client.pages("rollouts")}
    devices = [_device(stack, row) for row in stack.client.pages("devices")]
    bad = stack.client.get(f"rollouts/{rollouts[story.BAD_ROLLOUT]['id']}")
    missing = [*_missing_of_bad(bad), *(line for d in devices for line in _missing_of(d))]
    if rollouts[story.GOOD_ROLLOUT]["state"] != "succeeded":
        missing.append("the good rollout has not succeeded")
    return {
        "ok": not missing,
        "missing": missing,
        "rollouts": [
            {key: row[key] for key in ("name", "state", "reason")}
            for row in reversed(rollouts.values())
        ],
        "devices": devices,
    }


def _device(stack: Stack, row: dict[str, Any]) -> dict[str, Any]:
    """One device: what it should run, what it says it runs, and its figures under that."""
    release = stack.client.get(f"devices/{row['id']}/goal")["release"]
    expected = release and release["sha256"]
    releases = stack.client.get(f"devices/{row['id']}/figures")["releases"]
    figures = next((f for f in releases if f["release_sha256"] == expected), NO_FIGURES)
    latency = figures["latency_ms"].get("total", {})
    return {
        "serial": row["serial"],
        "profile": row["profile"],
        "expected_digest": expected,
        "running_digest": row["running_sha256"],
        "frames": figures["frames"],
        "verdicts": {"pass": figures["passed"], "fail": figures["failed"]},
        "latency_ms": {"p50": latency.get("p50_ms"), "p95": latency.get("p95_ms")},
    }


def _missing_of(device: dict[str, Any]) -> list[str]:
    serial, verdicts = device["serial"], device["verdicts"]
    missing = []
    if not device["expected_digest"] or device["expected_digest"] != device["running_digest"]:
        missing.append(f"{serial} does not report running what it should")
    if device["frames"] < MIN_FRAMES:
        missing.append(f"{serial} has told of {device['frames']} of {MIN_FRAMES} frames")
    if not verdicts["pass"] or not verdicts["fail"]:
        missing.append(f"{serial} has not seen both good and bad boards")
    return missing


def _missing_of_bad(rollout: dict[str, Any]) -> list[str]:
    """One device took the bad release and went back by itself; nobody else was touched."""
    missing = []
    if rollout["state"] != "stopped" or "not_finite" not in rollout["reason"]:
        missing.append("the bad rollout has not stopped for its NaN")
    phases = [d["phase"] for d in rollout["deployments"]]
    if phases != ["rolled_back"]:
        missing.append(f"deployments of the bad rollout are {phases}, not one rolled back")
    return missing
