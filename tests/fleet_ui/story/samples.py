"""Frames of drawn boards, with the truth as a model would have found it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2

from server.demo.boards import Board, render_board
from server.fleet.models import Device
from server.lib import blobs
from server.review.models import Sample
from tests.fleet_ui.story.base import World, digest_of


def make_samples(world: World) -> None:
    for seed in range(8):
        world.sample = add_sample(world, world.devices[0], seed)
    world.foreign_sample = add_sample(world, world.devices[6], 1)


@lru_cache
def picture_of(seed: int) -> tuple[Board, bytes]:
    board = render_board(seed)
    return board, cv2.imencode(".jpg", board.image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def add_sample(world: World, device: Device, seed: int) -> Sample:
    board, jpeg = picture_of(seed)
    at = world.ago(minutes=seed * 3 + 1)
    regions = regions_of(board.mask)
    marking = [[86, 60], [150, 60], [150, 78], [86, 78]]
    lines = [{"text": board.marking, "score": 0.94, "polygon": marking}] if board.marking else []
    latency = {"preprocess": 1.2, "infer": 6.1, "postprocess": 0.9, "total": 8.2}
    reasons = ["a defect was found"] if regions else []
    result = {
        "camera": "top",
        "sequence": seed,
        "source": f"live-{seed}.jpg",
        "captured_at": at.isoformat(),
        "width": 640,
        "height": 480,
        "verdict": board.verdict,
        "reasons": reasons or ([] if lines else ["the marking cannot be read"]),
        "stages": [
            {"stage": "defects", "regions": regions, "latency_ms": latency},
            {"stage": "marking", "lines": lines, "latency_ms": latency},
        ],
        "latency_ms": 12.4,
        "budget_ms": 100,
    }
    return Sample.objects.create(
        device=device,
        camera="top",
        release_sha256=digest_of("running"),
        image_sha256=blobs.put_bytes(jpeg).sha256,
        inclusion_probability=0.1,
        reason="random",
        verdict=board.verdict,
        result=result,
        captured_at=at,
        received_at=world.now,
    )


def regions_of(mask: Any) -> list[dict[str, Any]]:
    """The truth of a drawn board, as a model would have found it."""
    regions = []
    for index, label in ((1, "scratch"), (2, "missing_metal")):
        outlines, _ = cv2.findContours(
            (mask == index).astype("uint8"), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        )
        for outline in outlines:
            x, y, w, h = cv2.boundingRect(outline)
            regions.append(
                {
                    "label": label,
                    "score": 0.91,
                    "xyxy": [x, y, x + w, y + h],
                    "polygon": outline.reshape(-1, 2).tolist()[:200],
                    "area_px": float(cv2.contourArea(outline)),
                }
            )
    return regions
