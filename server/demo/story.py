"""The sample story, told through the REST API: models, builds, a rollout, and a bad release."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from server.demo import board_sets
from server.demo.console import wait_until
from server.demo.stack import DEVICES, GROUP, Stack

HERE = Path(__file__).parent
LICENCE_NOTE = (
    "Drawn: a photograph of a circuit board (OpenCV samples, Apache-2.0) with defects painted on."
)
DEFECTS, MARKING = "board-defects", "chip-marking"
GOOD, BAD = "board-inspection-1", "board-inspection-2"
GOOD_ROLLOUT, BAD_ROLLOUT = "First inspection release", "Contrast normalisation"
PURPOSES = ("golden", "calibration")
ENDED_BUILDS = ("succeeded", "refused", "failed")
BUILD_TIMEOUT_S, ROLLOUT_TIMEOUT_S = 600.0, 300.0

# Short enough to watch; a factory would soak for hours.
POLICY = {
    "min_soak_s": 5,
    "min_frames": 10,
    "max_p95_ms": 400,
    "probation": {"min_frames": 15, "max_duration_s": 90},
}

Writer = Callable[[board_sets.BoardSet, Path], int]


def tell(stack: Stack) -> None:
    """Tell it from where it stands: what exists already is left alone."""
    upload_datasets(stack)
    upload_version(stack, DEFECTS, "1.0.0", DEFECTS)
    upload_version(stack, MARKING, "4.0.0", MARKING)
    wait_for_builds(stack)
    release(stack, GOOD, {DEFECTS: "1.0.0", MARKING: "4.0.0"})
    roll_out(stack, GOOD_ROLLOUT, GOOD, until="succeeded")
    upload_version(stack, DEFECTS, "1.1.0", "board-defects-contrast")
    wait_for_builds(stack)
    release(stack, BAD, {DEFECTS: "1.1.0", MARKING: "4.0.0"})
    roll_out(stack, BAD_ROLLOUT, BAD, until="stopped")


def upload_datasets(stack: Stack) -> None:
    """Golden and calibration sets of both models, and the models themselves."""
    defects = (board_sets.GOLDEN, board_sets.write_boards)
    markings = (board_sets.GOLDEN_MARKINGS, board_sets.write_markings)
    for model, task, title, (golden, write) in (
        (DEFECTS, "segmentation", "Scratches and missing metal", defects),
        (MARKING, "text_recognition", "Chip marking", markings),
    ):
        if stack.client.find(f"models/{model}") is not None:
            continue
        for boards in (golden, board_sets.CALIBRATION):
            stack.console.show(f"drawing and uploading {model} {boards.name}")
            _upload_dataset(stack, f"{model}-{boards.name}", boards, write)
        sets = {name: {"name": f"{model}-{name}", "version": "1"} for name in PURPOSES}
        stack.client.post("models", {"name": model, "task": task, "title": title, **sets})
        stack.console.say(f"model {model}: golden and calibration sets uploaded")


def _upload_dataset(stack: Stack, name: str, boards: board_sets.BoardSet, write: Writer) -> None:
    if stack.client.find(f"datasets/{name}/1") is not None:
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, archive = Path(temporary, "set"), Path(temporary, "set.zip")
        write(boards, folder)
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder))
        fields = {"name": name, "version": "1", "purpose": boards.name, "notes": LICENCE_NOTE}
        stack.client.upload("datasets", archive, fields)


def upload_version(stack: Stack, model: str, version: str, folder: str) -> None:
    """One ModelVersion: the ONNX and the manifest that lie in ``models/<folder>``."""
    if stack.client.find(f"models/{model}/versions/{version}") is not None:
        return
    source = HERE / "models" / folder
    manifest = json.loads((source / "manifest.json").read_text())
    stack.client.upload(
        f"models/{model}/versions",
        source / "model.onnx",
        {"version": version, "manifest": manifest, "notes": f"From the sample {folder}."},
    )
    stack.console.say(f"model {model} {version}: uploaded and inspected")


def wait_for_builds(stack: Stack) -> None:
    """Wait until every version has an ended build for every profile; say how each one ends."""
    wanted = len(DEVICES) * sum(len(m["versions"]) for m in stack.client.pages("models"))

    def look() -> str | None:
        stack.check()
        builds = stack.client.pages("builds")
        ended = [build for build in builds if build["state"] in ENDED_BUILDS]
        for build in reversed(ended):
            if build["id"] not in stack.told_builds:
                stack.told_builds.add(build["id"])
                stack.console.say(f"{_name(build)}: {build['state']}. {build['reason']}")
        running = [
            f"{_name(build)}: {build['step'] or 'starting'} {build['share']:.0%}"
            for build in builds
            if build["state"] == "leased"
        ]
        progress = f"builds ended: {len(ended)} of {wanted}; {', '.join(running) or 'queued'}"
        return None if len(ended) == wanted else progress

    wait_until(look, console=stack.console, timeout_s=BUILD_TIMEOUT_S)


def _name(build: dict[str, Any]) -> str:
    return f"build of {build['model']} {build['version']} for {build['profile']}"


def release(stack: Stack, name: str, versions: dict[str, str]) -> None:
    """Pin the pipeline to versions, and wait until it is signed for every profile."""
    if stack.client.find(f"releases/{name}") is None:
        pipeline = yaml.safe_load((HERE / "pipeline.yaml").read_text())
        # Whole boards: each is judged by the pipeline as a device would, before it is signed.
        golden = {"name": f"{DEFECTS}-golden", "version": "1"}
        stack.client.post(
            "releases",
            {
                "name": name,
                "pipeline": pipeline,
                "versions": versions,
                "golden": golden,
                "notes": "",
            },
        )

    def unsigned() -> str | None:
        stack.check()
        missing: list[dict[str, Any]] = stack.client.get(f"releases/{name}/preflight", group=GROUP)[
            "missing"
        ]
        return f"release {name}: {missing[0]['why']}" if missing else None

    wait_until(unsigned, console=stack.console, timeout_s=120)
    for check in stack.client.get(f"releases/{name}/checks"):
        stack.console.say(f"release {name} on {check['profile']}: {check['reason']}, and signed")


def roll_out(stack: Stack, name: str, release_name: str, *, until: str) -> None:
    """Roll a release out to the group: one device, then the rest; wait for the end."""
    rollout = next((r for r in stack.client.pages("rollouts") if r["name"] == name), None)
    if rollout is None:
        rollout = stack.client.post(
            "rollouts",
            {
                "name": name,
                "release": release_name,
                "group": GROUP,
                "stages": [{"devices": 1}, {"share": 1.0}],
                "policy": POLICY,
                "start": True,
            },
        )

    def look() -> str | None:
        stack.check()
        now = stack.client.get(f"rollouts/{rollout['id']}")
        phases = ", ".join(f"{d['serial']}: {d['phase']}" for d in now["deployments"])
        ended = now["state"] in ("succeeded", "stopped", "rolled_back")
        return None if ended else f"rollout {name}: {now['state']} ({phases}) {now['reason']}"

    wait_until(look, console=stack.console, timeout_s=ROLLOUT_TIMEOUT_S)
    now = stack.client.get(f"rollouts/{rollout['id']}")
    stack.console.say(f"rollout {name}: {now['state']}. {now['reason']}")
    if now["state"] != until:
        raise StoryFailed(f"Rollout {name!r} should have {until}, but it {now['state']}.")


class StoryFailed(Exception):
    """The story went another way than it must."""
