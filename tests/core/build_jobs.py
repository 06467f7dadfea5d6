"""Folders, jobs and children for the tests of the build."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx

from inference_core.contract.build import BUILD_EVENT, BuildJob, BuildOutcome, BuildProgress
from inference_core.datasets import read_dataset
from tests.core.onnx_models import HEIGHT, WIDTH, brightness_manifest, save


def write_pictures(folder: Path, seed: int, count: int = 6) -> Path:
    """Mid-grey pictures with one dark and one bright patch each, and their masks."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    lines = []
    for number in range(count):
        picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for label, level in ((1, 20), (2, 235)):
            x, y = int(rng.integers(1, 10)) + (label - 1) * WIDTH // 2, int(rng.integers(1, 12))
            picture[y : y + 14, x : x + 12], mask[y : y + 14, x : x + 12] = level, label
        picture += rng.integers(0, 8, picture.shape, np.uint8)
        names = {"image": f"images/{number}.png", "mask": f"masks/{number}.png"}
        cv2.imwrite(str(folder / names["image"]), picture)
        cv2.imwrite(str(folder / names["mask"]), mask)
        lines.append(json.dumps(names) + "\n")
    (folder / "labels.jsonl").write_text("".join(lines))
    return folder


def make_job(folder: Path, model: onnx.ModelProto, **changes: Any) -> BuildJob:
    """A job over freshly written sets; ``changes`` replaces whole fields."""
    path = save(model, folder / "model.onnx")
    calibration = write_pictures(folder / "calibration", seed=1)
    golden = write_pictures(folder / "golden", seed=2)
    fields: dict[str, Any] = {
        "model_path": str(path),
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "manifest": brightness_manifest(),
        "profile": make_profile(),
        "calibration_dir": str(calibration),
        "calibration_sha256": read_dataset(calibration).sha256,
        "golden_dir": str(golden),
        "golden_sha256": read_dataset(golden).sha256,
        "output_dir": str(folder / "out"),
        "benchmark_runs": 5,
    }
    return BuildJob.model_validate({**fields, **changes})


def make_profile(runtime: str = "onnxruntime", *precisions: str) -> dict[str, Any]:
    return {
        "name": f"x86-{runtime.replace('_', '-')}",
        "runtime": runtime,
        "architecture": "x86_64",
        "precisions": precisions or ("fp32",),
    }


class Child:
    """What ``python -m inference_core`` said and how it ended."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "inference_core", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **(environment or {})},
        )
        self.code, self.out, self.log = done.returncode, done.stdout, done.stderr

    @property
    def events(self) -> list[BuildProgress | BuildOutcome]:
        return [BUILD_EVENT.validate_json(line) for line in self.out.splitlines()]

    @property
    def outcome(self) -> BuildOutcome:
        last = self.events[-1]
        assert isinstance(last, BuildOutcome), self.log
        return last


def build(folder: Path, job: BuildJob) -> Child:
    path = folder / "job.json"
    path.write_bytes(job.to_json())
    return Child("build", "--job", str(path))
