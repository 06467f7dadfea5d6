"""The gate on real detectors: what naive INT8 destroys is refused, the rest is judged by figures.

Measured on onnxruntime 1.32, x86-64 with VNNI (mAP 0.50:0.95 of five pictures labelled by hand):

| model    | fp32  | naive INT8, all operators | INT8 of convolutions |
| -------- | ----- | ------------------------- | -------------------- |
| NanoDet  | 0.843 | 0.000, no detection left  | 0.814: 96.6 %, refused, same answers |
| COCO-SSD | 0.630 | 0.327                     | 0.613 to 0.642: 97 to 102 % |

COCO-SSD's last line depends on the last bit of its calibration: an input that reaches 1.0 or
just below it gets another zero point. So no test says on which side of the limit it falls.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from inference_core.contract.build import ParityFigures, ParityLimits
from inference_core.optimize import parity
from inference_core.optimize.feed import Feed
from inference_core.optimize.quantize import quantize_onnx
from inference_core.runtimes.base import SessionOptions
from inference_core.runtimes.onnxruntime import RUNTIME
from tests.core.judges.street import (
    COCO_SSD,
    NANODET,
    Street,
    sample_manifest,
    write_folded,
    write_street,
)

LIMITS = ParityLimits()
OPTIONS = SessionOptions(threads=2)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Street:
    return write_street(tmp_path_factory.mktemp("street"))


@dataclass(frozen=True)
class Judged:
    reference: parity.Evaluation
    artifact: parity.Evaluation

    @property
    def figures(self) -> ParityFigures:
        return parity.compare(self.reference, self.artifact)


def judge(model: Path, artifact: Path, street: Street) -> Judged:
    manifest = sample_manifest(model)
    reference, candidate = (
        parity.evaluate(RUNTIME.load(path, manifest, OPTIONS), manifest, street.golden)
        for path in (model, artifact)
    )
    return Judged(reference, candidate)


class _Inputs:
    """What a person who follows the quantiser's tutorial writes."""

    def __init__(self, feed: Feed) -> None:
        self._inputs = iter(feed)

    def get_next(self) -> object:
        return next(self._inputs, None)


def quantize_naively(model: Path, street: Street, folder: Path) -> Path:
    artifact = folder / "naive.int8.onnx"
    quantize_static(
        str(write_folded(model, folder)),
        str(artifact),
        _Inputs(Feed(street.calibration, sample_manifest(model))),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return artifact


@pytest.fixture(scope="module")
def naive_nanodet(street: Street, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantize_naively(NANODET, street, tmp_path_factory.mktemp("naive"))


def quantize_convolutions(model: Path, street: Street, folder: Path) -> Path:
    artifact = folder / "int8.onnx"
    feed = Feed(street.calibration, sample_manifest(model))
    quantize_onnx(write_folded(model, folder), feed, artifact, signed=False)
    return artifact


def test_the_reference_sees_what_a_person_labelled(street: Street) -> None:
    manifest = sample_manifest(NANODET)

    evaluation = parity.evaluate(RUNTIME.load(NANODET, manifest), manifest, street.golden)

    assert evaluation.value == pytest.approx(0.843, abs=0.02)
    assert parity.refuse_reference(evaluation, LIMITS) is None
    assert evaluation.readings[2].answer == "2 car, 3 person, 1 truck"


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_detector_that_lost_every_object_is_refused_in_a_sentence(
    street: Street, naive_nanodet: Path
) -> None:
    judged = judge(NANODET, naive_nanodet, street)

    assert [reading.answer for reading in judged.artifact.readings] == [""] * 5
    assert judged.figures.agreement == 0
    assert parity.refuse_candidate("int8", judged.figures, LIMITS) == (
        f"int8 kept 0.0% of mAP (0.000 of {judged.reference.value:.3f}); at least 99.0% is asked"
    )


def test_int8_of_convolutions_keeps_nanodets_answers_but_not_its_map(
    street: Street, tmp_path: Path
) -> None:
    """It is judged on its merits: sure of the same objects, its boxes less exact."""
    figures = judge(NANODET, quantize_convolutions(NANODET, street, tmp_path), street).figures

    assert figures.agreement == 1
    assert 0.9 < figures.share < LIMITS.min_metric_share
    assert parity.refuse_candidate("int8", figures, LIMITS) == (
        f"int8 kept {figures.share:.1%} of mAP ({figures.artifact:.3f} of "
        f"{figures.reference:.3f}); at least 99.0% is asked"
    )


def test_int8_of_convolutions_keeps_what_naive_int8_of_coco_ssd_loses(
    street: Street, tmp_path: Path
) -> None:
    naive = judge(COCO_SSD, quantize_naively(COCO_SSD, street, tmp_path), street).figures
    careful = judge(COCO_SSD, quantize_convolutions(COCO_SSD, street, tmp_path), street).figures

    assert naive.share < 0.7
    assert parity.refuse_candidate("int8", naive, LIMITS) is not None
    assert careful.share > 0.95
    keeps_all = (
        careful.share >= LIMITS.min_metric_share
        and careful.agreement >= LIMITS.min_agreement
        and careful.score_shift <= LIMITS.max_score_shift
        and all(kept >= LIMITS.min_class_share * had for had, kept in careful.per_class.values())
    )
    assert (parity.refuse_candidate("int8", careful, LIMITS) is None) == keeps_all


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_command_refuses_it_too(street: Street, naive_nanodet: Path) -> None:
    child = subprocess.run(
        [
            *(sys.executable, "-m", "inference_core", "compare", NANODET, naive_nanodet),
            *("--dataset", street.golden.folder, "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert child.returncode == 1, child.stderr
    figures = json.loads(child.stdout)
    assert figures["metric"] == "map"
    assert figures["artifact"] == 0
    assert figures["images"] == 5
