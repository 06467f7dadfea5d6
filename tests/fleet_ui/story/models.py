"""A model with two versions, one of which keeps its accuracy when it is built."""

from __future__ import annotations

from typing import Any

from server.datasets.models import DatasetVersion
from server.registry.models import ModelVersion, VisionModel
from tests.fleet_ui.story.base import MANIFEST, World, digest_of
from tests.fleet_ui.story.builds import add_build


def make_models(world: World) -> None:
    sets = {
        purpose: DatasetVersion.objects.create(
            name=f"boards-{purpose}",
            version="1",
            purpose=purpose,
            sha256=digest_of(purpose),
            labels_sha256=digest_of(f"labels {purpose}"),
            image_count=32,
            length=9_400_000,
            created_at=world.now,
            created_by="user:ada",
        )
        for purpose in ("golden", "calibration")
    }
    world.model = VisionModel.objects.create(
        name="board-defects",
        task="segmentation",
        title="Scratches and missing metal",
        created_at=world.ago(days=2),
        **sets,
    )
    for number in ("1.0.0", "1.1.0"):
        version = ModelVersion.objects.create(
            model=world.model,
            version=number,
            sha256=digest_of(number),
            length=412_300,
            manifest_sha256=digest_of(f"manifest {number}"),
            manifest_body=MANIFEST,
            report=report_of(digest_of(number)),
            licence="Apache-2.0",
            created_at=world.ago(days=1),
            created_by="user:ada",
        )
        world.versions[number] = version
    for profile in world.profiles.values():
        add_build(world, world.versions["1.0.0"], profile, "succeeded")
    add_build(world, world.versions["1.1.0"], world.profiles["x86-onnxruntime"], "refused")
    add_build(world, world.versions["1.1.0"], world.profiles["x86-openvino"], "leased")


def report_of(sha256: str) -> dict[str, Any]:
    image = {"name": "image", "shape": [1, 3, 480, 640], "dtype": "float32"}
    scores = {"name": "scores", "shape": [1, 3, 480, 640], "dtype": "float32"}
    return {
        "sha256": sha256,
        "size_bytes": 412_300,
        "opset": 17,
        "producer": "pytorch 2.13",
        "parameters": 101_443,
        "operators": {"Conv": 14, "Relu": 13, "Resize": 3, "Concat": 3},
        "inputs": [image],
        "outputs": [scores],
        "support": {
            "onnxruntime": {"answer": "yes", "why": "ONNX Runtime 1.32.0 has every operator."},
            "opencv_dnn": {"answer": "no", "why": "OpenCV DNN 5.0.0 has no Scan, which node 's'."},
        },
    }
