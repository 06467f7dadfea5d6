"""A dataset with its pictures, and a training set that has two of them, as it should not."""

from __future__ import annotations

import json
from typing import Any

from server.datasets.models import DatasetItem, DatasetVersion
from server.lib import blobs
from server.review.models import LabelReview
from tests.fleet_ui.story.base import World, digest_of
from tests.fleet_ui.story.samples import picture_of, regions_of


def make_datasets(world: World) -> None:
    add_dataset(world, "boards-evening", "golden", range(8))
    add_dataset(world, "boards-learnt", "training", range(6, 12))


def add_dataset(
    world: World, name: str, purpose: str, seeds: range, version: str = "1"
) -> DatasetVersion:
    pictures = {f"images/{seed}.jpg": picture_of(seed) for seed in seeds}
    lines = [label_of(image, board) for image, (board, _) in pictures.items()]
    labels = blobs.put_bytes("\n".join(map(json.dumps, lines)).encode())
    dataset = DatasetVersion.objects.create(
        name=name,
        version=version,
        purpose=purpose,
        sha256=digest_of(f"{name} {version}"),
        labels_sha256=labels.sha256,
        image_count=len(pictures),
        length=labels.length + sum(len(jpeg) for _, jpeg in pictures.values()),
        notes="Drawn by the sample story. CC0-1.0",
        created_at=world.ago(days=1),
        created_by="user:ada",
    )
    DatasetItem.objects.bulk_create(
        DatasetItem(dataset=dataset, image=image, image_sha256=blobs.put_bytes(jpeg).sha256)
        for image, (_, jpeg) in pictures.items()
    )
    return dataset


def label_of(image: str, board: Any) -> dict[str, Any]:
    """What is known of a drawn board; of every fifth nothing is."""
    if image.endswith(("0.jpg", "5.jpg")):
        return {"image": image}
    boxes = [{"label": r["label"], "xyxy": r["xyxy"]} for r in regions_of(board.mask)]
    return {"image": image, "verdict": str(board.verdict), "boxes": boxes}


def ask_for_reviews(world: World) -> None:
    """Two labels wait for a person."""
    for picture in world.comparison.pictures.filter(agrees=False)[:2]:
        LabelReview.objects.create(
            dataset=world.comparison.dataset,
            image=picture.image,
            picture=picture,
            why="disagree",
            asked_at=world.ago(minutes=20),
            asked_by="user:ada",
        )
