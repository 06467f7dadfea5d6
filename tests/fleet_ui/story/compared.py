"""A comparison in rows, of the boards that the samples show."""

from __future__ import annotations

import hashlib
from typing import Any

from server.comparisons.models import Comparison, PictureRow
from server.lib import blobs
from tests.fleet_ui.story.base import World
from tests.fleet_ui.story.samples import picture_of, regions_of

LATENCY = {"p50_ms": 11.42, "p95_ms": 13.9, "runs": 5}
STAGE = {
    "stage": "found",
    "latency_ms": dict.fromkeys(("preprocess", "infer", "postprocess", "total"), 0),
}


def make_comparison(world: World, state: str = "succeeded") -> Comparison:
    """Eight boards, of which B sees every defect, and A none."""
    row = Comparison.objects.create(
        key=hashlib.sha256(state.encode()).hexdigest(),
        a=world.versions["1.0.0"],
        b=world.versions["1.1.0"],
        dataset=world.model.golden,
        state=state,
        share=0.4,
        created_at=world.ago(hours=1),
        created_by="user:ada",
    )
    if state != "succeeded":
        return row
    pictures = [add_picture(row, seed) for seed in range(8)]
    wrong = sum(not one.a_is_right for one in pictures)
    right = {"pictures": 8, "a": 8 - wrong, "b": 8}
    row.figures_body = {
        "metric": "mean_iou",
        "images": 8,
        "a": 0.871,
        "b": 0.9312,
        "per_class": {"scratch": [0.85, 0.93], "missing_metal": [0.9, 0.93]},
        "per_slice": {"light=evening": [0.7, 0.9]},
        "right": right,
        "right_per_class": {"scratch": right},
        "only_a_wrong": wrong,
        "only_b_wrong": 0,
        "both_wrong": 0,
        "disagree": wrong,
        "score_shift": 0.0214,
        "latency_a": LATENCY,
        "latency_b": LATENCY,
        "toolchain": {"onnxruntime": "1.32.0"},
    }
    row.save()
    return row


def add_picture(row: Comparison, seed: int) -> PictureRow:
    board, jpeg = picture_of(seed)
    regions = regions_of(board.mask)
    found = {**STAGE, "regions": regions}
    answer = ",".join(sorted({region["label"] for region in regions}))
    misses = bool(regions)
    image = f"images/{seed}.jpg"
    sha256 = blobs.put_bytes(jpeg).sha256
    body: dict[str, Any] = {
        "image": image,
        "image_sha256": sha256,
        "width": 640,
        "height": 480,
        "label": answer,
        "truth": found,
        "a": {"answer": "" if misses else answer, "score": 0.4, "is_right": not misses,
              "found": STAGE if misses else found},
        "b": {"answer": answer, "score": 0.9, "is_right": True, "found": found},
        "agrees": not misses,
    }  # fmt: skip
    return PictureRow.objects.create(
        comparison=row,
        image=image,
        image_sha256=sha256,
        a_is_right=not misses,
        b_is_right=True,
        agrees=not misses,
        body=body,
    )
