"""Anomaly maps: the picture's score, and the regions, measured as those of a segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy import ndimage

from inference_core.contract.manifest import ModelManifest
from inference_core.decode.lookup import decode
from inference_core.errors import DecodeFailed, NotFinite
from inference_core.image import Transform, prepare
from inference_core.picture import read_picture
from inference_core.results import Anomaly

SAMPLES = Path(__file__).parents[1] / "samples"
SAME_SIZE = Transform((1.0, 1.0), (0, 0, 16, 12), (0, 0, 16, 12))


def detector(resize: str = "stretch", **decoder: Any) -> ModelManifest:
    outputs = [{"name": "map", "shape": [1, 1, None, None]}, {"name": "score", "shape": [1]}]
    return ModelManifest.model_validate(
        {
            "task": "anomaly",
            "inputs": [{"name": "image", "shape": [1, 3, 12, 16]}],
            "outputs": outputs,
            "preprocess": {"resize": resize},
            "decoder": {"kind": "anomaly", "map_output": "map", **decoder},
            "licence": "Apache-2.0",
        }
    )


def find(
    heat: np.ndarray,
    manifest: ModelManifest | None = None,
    transform: Transform = SAME_SIZE,
    **others: np.ndarray,
) -> Anomaly:
    found = decode({"map": heat, **others}, manifest or detector(), transform)
    assert isinstance(found, Anomaly)
    return found


def heat_map(height: int = 12, width: int = 16) -> np.ndarray:
    """A flaw of 2 by 3 pixels, and a warm pixel below the threshold."""
    heat = np.zeros((1, 1, height, width), np.float32)
    heat[0, 0, 4:6, 5:8] = 0.9
    heat[0, 0, 5, 7] = 0.6
    heat[0, 0, 9, 2] = 0.4
    return heat


def test_regions_reach_the_threshold_and_the_score_is_the_highest() -> None:
    found = find(heat_map())
    assert found.score == pytest.approx(0.9)
    assert found.regions.labels == ("anomaly",)
    np.testing.assert_allclose(found.regions.xyxy, [[5, 4, 8, 6]])
    np.testing.assert_allclose(found.regions.area_px, [6])
    np.testing.assert_allclose(found.regions.length_px, [3], rtol=1e-5)
    np.testing.assert_allclose(found.regions.score, [(5 * 0.9 + 0.6) / 6], rtol=1e-5)


def test_millimetres_follow_the_scale() -> None:
    fields = find(heat_map()).to_fields(mm_per_px=0.5)
    (region,) = fields["regions"]
    assert fields["anomaly_score"] == pytest.approx(0.9)
    assert region.area_mm2 == pytest.approx(1.5)
    assert region.length_mm == pytest.approx(1.5)


def test_a_batch_of_maps_without_channels_is_read() -> None:
    assert find(heat_map()[:, 0]).score == find(heat_map()).score


def test_raw_distances_are_brought_between_low_and_high() -> None:
    found = find(heat_map() * 40 + 10, detector(low=10.0, high=50.0))
    assert found.score == pytest.approx(0.9)
    assert len(found.regions) == 1
    assert find(heat_map() * 400 + 10, detector(low=10.0, high=50.0)).score == 1.0
    assert find(heat_map() - 10, detector(low=10.0, high=50.0)).score == 0.0


def test_the_models_own_score_goes_first() -> None:
    manifest = detector(score_output="score", low=0.0, high=2.0)
    found = find(heat_map(), manifest, score=np.array([0.5], np.float32))
    assert found.score == pytest.approx(0.25)


def test_a_coarse_map_is_measured_in_the_frame() -> None:
    heat = np.zeros((1, 1, 3, 4), np.float32)
    heat[0, 0, 1, 2] = 1
    transform = Transform((0.5, 0.5), (0, 0, 16, 12), (100, 200, 32, 24))
    found = find(heat, transform=transform)
    np.testing.assert_allclose(found.regions.xyxy, [[116, 208, 124, 216]])
    np.testing.assert_allclose(found.regions.area_px, [64])


def test_the_padding_is_never_an_anomaly() -> None:
    manifest = detector(resize="letterbox")
    transform = prepare(np.zeros((12, 8, 3), np.uint8), manifest).transform
    heat = heat_map() * 0
    heat[0, 0, :, :4] = heat[0, 0, :, 12:] = 1
    found = find(heat, manifest, transform)
    assert found.score == 0
    assert len(found.regions) == 0


def test_small_regions_are_left_out_but_the_score_stays() -> None:
    found = find(heat_map(), detector(min_area_px=7))
    assert len(found.regions) == 0
    assert found.score == pytest.approx(0.9)


def test_a_threshold_of_zero_does_not_reach_into_the_padding() -> None:
    manifest = detector(resize="letterbox", threshold=0.0)
    transform = prepare(np.zeros((12, 8, 3), np.uint8), manifest).transform
    found = find(heat_map() * 0, manifest, transform)
    np.testing.assert_allclose(found.regions.area_px, [96])


@pytest.mark.parametrize("shape", [(12, 16), (2, 1, 12, 16), (1, 2, 12, 16), (1, 1, 0, 16), (1,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DecodeFailed, match="not 1×1×H×W or 1×H×W"):
        find(np.zeros(shape, np.float32))


def test_a_score_of_another_shape_is_refused() -> None:
    with pytest.raises(DecodeFailed, match="not one score"):
        find(heat_map(), detector(score_output="score"), score=np.zeros(2, np.float32))


@pytest.mark.parametrize("name", ["map", "score"])
def test_nan_is_refused(name: str) -> None:
    outputs = {"map": heat_map(), "score": np.zeros(1, np.float32)}
    outputs[name].flat[0] = np.nan
    with pytest.raises(NotFinite, match=name):
        decode(outputs, detector(score_output="score"), SAME_SIZE)


@pytest.mark.parametrize("name", ["board.jpg", "fruits.jpg", "stuff.jpg"])
def test_regions_on_a_real_picture_are_those_of_scipy(name: str) -> None:
    """The map is how far a pixel lies from its surroundings: crude, but of a real picture."""
    gray = cv2.cvtColor(read_picture(SAMPLES / "images" / name), cv2.COLOR_BGR2GRAY)
    heat = np.abs(gray - cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 8)) / 64
    height, width = heat.shape
    whole = Transform((1.0, 1.0), (0, 0, width, height), (0, 0, width, height))
    manifest = detector(min_area_px=12)
    sized = manifest.inputs[0].model_copy(update={"shape": (1, 3, height, width)})
    found = find(heat[None, None], manifest.model_copy(update={"inputs": (sized,)}), whole)
    labelled, count = ndimage.label(heat >= 0.5, structure=np.ones((3, 3)))
    areas = ndimage.sum_labels(np.ones_like(heat), labelled, range(1, count + 1))
    means = ndimage.mean(np.minimum(heat, 1), labelled, range(1, count + 1))
    kept = np.flatnonzero(areas >= 12)
    assert len(kept) > 10
    assert sorted(found.regions.area_px) == sorted(areas[kept])
    np.testing.assert_allclose(
        sorted(found.regions.score), sorted(np.asarray(means)[kept]), rtol=1e-4
    )
    assert found.score == pytest.approx(min(float(heat.max()), 1.0))
