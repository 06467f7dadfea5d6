"""Three real models with labelled sets: a detector, a text recogniser, a segmentation net.

NanoDet as its authors published it, the recogniser of PP-OCRv4 on markings of chips, and the
trained net of the sample story. Pictures that judge never calibrate.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.datasets.models import DatasetVersion, Purpose
from server.demo import board_sets
from server.demo.board_sets import BoardSet
from server.registry.models import ModelVersion
from server.registry.services import create_model, upload_version
from tests.core.judges.street import NANODET, write_street
from tests.server.builds.certified import upload_folder
from tests.server.catalogue import ACTOR, MAX_BYTES

DEMO_MODELS = Path(board_sets.__file__).parent / "models"
DETECTOR, RECOGNISER, SEGMENTER = "street-objects", "chip-marking", "board-defects"
PIPELINE = {
    "pipeline": "three-models",
    "stages": [
        {"id": "defects", "model": SEGMENTER},
        {
            "id": "marking",
            "model": RECOGNISER,
            "region": [0.1328125, 0.125, 0.103125, 0.0416667],
        },
        {"id": "objects", "model": DETECTOR},
    ],
    "rules": [
        {"fail": "defects.largest_mm2 > 1.5", "because": "scratched, or metal is missing"},
        {"fail": "not marking.matches('^TDA[0-9]{4}P$')", "because": "the marking is unreadable"},
        {"fail": "objects.count('person') > 0", "because": "somebody stands in the picture"},
    ],
    "budget_ms": 500,
}


@dataclass(frozen=True)
class Sizes:
    """How many pictures judge and calibrate; the detector's five were labelled by hand."""

    boards: int
    markings: int
    calibration: int


FEW = Sizes(boards=8, markings=12, calibration=6)
ALL = Sizes(
    boards=len(board_sets.GOLDEN.seeds),
    markings=len(board_sets.GOLDEN_MARKINGS.seeds),
    calibration=len(board_sets.CALIBRATION.seeds),
)


@dataclass(frozen=True)
class ThreeModels:
    """The uploaded versions by the model's name, and frames that judge all three together."""

    versions: dict[str, ModelVersion]
    frames: DatasetVersion


def upload_three_models(folder: Path, sizes: Sizes) -> ThreeModels:
    """Through the registry's own doors, inspection included."""
    street = write_street(folder / "street")
    calibration = _part(board_sets.CALIBRATION, sizes.calibration)
    board_sets.write_boards(_part(board_sets.GOLDEN, sizes.boards), folder / "boards")
    board_sets.write_boards(calibration, folder / "boards-calibration")
    board_sets.write_markings(_part(board_sets.GOLDEN_MARKINGS, sizes.markings), folder / "marks")
    board_sets.write_markings(calibration, folder / "marks-calibration")
    defects = _sets(folder / "boards", folder / "boards-calibration", SEGMENTER)
    marks = _sets(folder / "marks", folder / "marks-calibration", RECOGNISER)
    objects = _sets(street.golden.folder, street.calibration.folder, DETECTOR)
    nanodet = NANODET.with_name(f"{NANODET.stem}.manifest.json")
    versions = {
        SEGMENTER: _upload(SEGMENTER, "segmentation", defects, *_demo(SEGMENTER)),
        RECOGNISER: _upload(RECOGNISER, "text_recognition", marks, *_demo(RECOGNISER)),
        DETECTOR: _upload(DETECTOR, "detection", objects, NANODET, nanodet),
    }
    return ThreeModels(versions, defects["golden"])


def _part(boards: BoardSet, count: int) -> BoardSet:
    return BoardSet(boards.name, boards.seeds[:count])


def _sets(golden: Path, calibration: Path, name: str) -> dict[str, DatasetVersion]:
    return {
        "golden": upload_folder(golden, f"{name}-golden", Purpose.GOLDEN),
        "calibration": upload_folder(calibration, f"{name}-calibration", Purpose.CALIBRATION),
    }


def _demo(name: str) -> tuple[Path, Path]:
    return DEMO_MODELS / name / "model.onnx", DEMO_MODELS / name / "manifest.json"


def _upload(
    name: str, task: str, sets: dict[str, Any], model: Path, manifest: Path
) -> ModelVersion:
    return upload_version(
        model=create_model(name=name, task=task, title=name, **sets, actor=ACTOR),
        version="1.0.0",
        manifest=json.dumps(json.loads(manifest.read_text())),
        notes="",
        chunks=[model.read_bytes()],
        max_bytes=MAX_BYTES,
        actor=ACTOR,
    )
