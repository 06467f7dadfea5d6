"""Objects keep their numbers, time is what the frames say, and nothing grows without end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis

from inference_core.contract.pipeline import Track
from inference_core.results import Boxes
from inference_core.tracking import Follower, motion
from inference_core.tracking.matching import measure_iou
from inference_core.tracking.objects import make_row_type, make_rows

from .worlds import FRAME, Detector, make_world

SIZE = (1000, 1000)
ANYWHERE = Track(line=((0.0, 0.9), (1.0, 0.9)))


def boxes(
    *centres: tuple[float, float], score: float = 0.9, labels: tuple[str, ...] = ("part",)
) -> Boxes:
    centre = np.array(centres, dtype=np.float64).reshape(-1, 2)
    xyxy = np.concatenate([centre - 20, centre + 20], axis=1)
    count = len(centre)
    return Boxes(labels, np.zeros(count, np.int64), np.full(count, score), xyxy)


def test_a_number_comes_with_the_second_sighting_and_stays() -> None:
    follower = Follower(ANYWHERE)
    told = [
        follower.follow(boxes((100 + 5 * index, 100)), index / 25, SIZE).track_id.tolist()
        for index in range(4)
    ]
    assert told == [[-1], [1], [1], [1]]


def test_numbers_stand_beside_their_boxes_whatever_the_order() -> None:
    follower = Follower(ANYWHERE)
    follower.follow(boxes((100, 100), (500, 500)), 0.0, SIZE)
    first = follower.follow(boxes((100, 100), (500, 500)), 0.04, SIZE).track_id
    second = follower.follow(boxes((500, 500), (900, 100), (100, 100)), 0.08, SIZE).track_id
    assert second.tolist() == [first[1], -1, first[0]]


def test_each_object_of_a_crowd_keeps_one_number() -> None:
    rng = np.random.default_rng(1)
    world, follower = make_world(rng), Follower(ANYWHERE)
    detector = Detector(rng, drop_share=0.1, tremble=0.01)
    numbers: dict[int, set[int]] = {}
    for index in range(150):
        seen, which = detector.look(world, index / 25, 25)
        told = follower.follow(seen, index / 25, FRAME).track_id
        for item, number in zip(which.tolist(), told.tolist(), strict=True):
            numbers.setdefault(item, set()).add(number)
    switched = [item for item, known in numbers.items() if len(known - {-1}) > 1]
    assert len(numbers) > 90
    assert switched == []


def test_two_that_pass_each_other_keep_their_numbers() -> None:
    follower = Follower(ANYWHERE)
    for index in range(80):
        way = 10.0 * index
        told = follower.follow(boxes((100 + way, 500), (900 - way, 510)), index / 25, SIZE).track_id
        if index == 1:
            first = told
    assert told.tolist() == first.tolist()


def test_a_weak_box_carries_an_object_on_but_begins_none() -> None:
    follower = Follower(ANYWHERE)
    for index in range(3):
        assert follower.follow(boxes((100, 100), score=0.3), index / 25, SIZE).track_id[0] == -1
    for index in range(3, 6):
        follower.follow(boxes((100, 100)), index / 25, SIZE)
    assert follower.follow(boxes((100, 100), score=0.3), 6 / 25, SIZE).track_id[0] == 1


def test_an_object_unseen_for_too_long_is_a_new_one() -> None:
    def return_after(gap_s: float) -> int:
        follower = Follower(ANYWHERE)
        for time_s in (0.0, 0.04, 0.08, *np.arange(0.12, gap_s, 0.04)):
            shown = boxes((100, 100)) if time_s <= 0.08 else boxes()
            follower.follow(shown, float(time_s), SIZE)
        follower.follow(boxes((100, 100)), 0.08 + gap_s, SIZE)
        return int(follower.follow(boxes((100, 100)), 0.12 + gap_s, SIZE).track_id[0])

    assert return_after(0.45) == 1
    assert return_after(0.70) == 2


def test_a_slow_camera_keeps_its_objects_from_frame_to_frame() -> None:
    """Two frames a second are further apart than ``max_missing_s``."""
    follower = Follower(ANYWHERE)
    times_s = np.cumsum([0.0, 0.5, 0.52, 0.55, 0.5])
    told = [follower.follow(boxes((100, 100)), t, SIZE).track_id[0] for t in times_s.tolist()]
    assert told == [-1, 1, 1, 1, 1]


def test_a_camera_that_was_away_sees_new_objects() -> None:
    follower = Follower(ANYWHERE)
    for index in range(5):
        follower.follow(boxes((100, 100)), index / 25, SIZE)
    assert follower.follow(boxes((100, 100)), 600.0, SIZE).track_id[0] == -1


@pytest.mark.parametrize(("time_s", "size"), [(0.0, SIZE), (1.0, (500, 500))])
def test_a_recording_that_begins_anew_or_another_frame_size_makes_new_objects(
    time_s: float, size: tuple[int, int]
) -> None:
    follower = Follower(ANYWHERE)
    for index in range(3):
        follower.follow(boxes((100, 100)), 0.9 + index / 25, SIZE)
    assert follower.follow(boxes((100, 100)), time_s, size).track_id[0] == -1
    assert follower.follow(boxes((100, 100)), time_s + 0.04, size).track_id[0] == 2


def test_a_class_that_flickers_is_one_object() -> None:
    follower, told = Follower(ANYWHERE), []
    for index in range(10):
        shown = boxes((100 + index, 100), labels=("car", "truck"))
        shown.class_id[:] = index == 5
        told.append(follower.follow(shown, index / 25, SIZE).track_id[0])
    assert set(told[1:]) == {1}


def test_memory_stays_bounded_in_a_shower_of_false_boxes() -> None:
    rng, follower = np.random.default_rng(0), Follower(ANYWHERE)
    most = 0
    for index in range(400):
        scattered = [tuple(place) for place in rng.uniform(0, 1000, (20, 2))]
        follower.follow(boxes(*scattered), index / 25, SIZE)
        most = max(most, len(follower._tracker.objects))
    assert most <= 20 * 16  # what came within half a second and the grace of a frame or two
    follower.follow(boxes(), 100.0, SIZE)
    assert len(follower._tracker.objects) == 0


def test_no_boxes_at_all_is_an_answer() -> None:
    followed = Follower(ANYWHERE).follow(boxes(), 0.0, SIZE)
    assert followed.track_id.shape == (0,)
    assert followed.counts.entered == {}


def test_the_filter_is_the_textbook_one() -> None:
    """The same steps with matrices for one axis: F, Q, H, R of a constant velocity."""
    side, elapsed = 40.0, 0.2
    objects = make_rows(1, make_row_type(1))
    motion.begin(objects, np.array([[10.0, 10.0]]), np.array([[side, side]]))
    mean = np.array([10.0, 0.0])
    covariance = np.diag([(0.05 * side) ** 2, (3 * side) ** 2])
    for measured in (14.0, 19.0, 22.0):
        motion.predict(objects, elapsed)
        step = np.array([[1, elapsed], [0, 1]])
        noise = side**2 * np.array([[elapsed**3 / 3, elapsed**2 / 2], [elapsed**2 / 2, elapsed]])
        mean, covariance = step @ mean, step @ covariance @ step.T + noise
        total = covariance[0, 0] + (0.05 * side) ** 2
        surprise = motion.measure_surprise(objects, np.array([[measured, measured]]))
        expected = 2 * mahalanobis([measured], mean[:1], [[1 / total]]) ** 2
        np.testing.assert_allclose(surprise, expected)
        gain = covariance[:, 0] / total
        mean = mean + gain * (measured - mean[0])
        covariance = covariance - np.outer(gain, covariance[0])
        motion.correct(objects, np.array([0]), np.full((1, 2), measured), np.full((1, 2), side))
        np.testing.assert_allclose(objects["centre"][0], mean[0])
        np.testing.assert_allclose(objects["velocity"][0], mean[1])
        np.testing.assert_allclose(objects["covariance"][0], covariance[0, 1])


corner = st.integers(0, 50)


@given(st.tuples(corner, corner, corner, corner), st.tuples(corner, corner, corner, corner))
def test_iou_is_what_counting_pixels_gives(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    def paint(box: tuple[int, int, int, int]) -> np.ndarray:
        canvas = np.zeros((50, 50), bool)
        canvas[box[1] : box[3], box[0] : box[2]] = True
        return canvas

    one, other = ((*np.minimum(b[:2], b[2:]), *np.maximum(b[:2], b[2:])) for b in (one, other))
    both, either = (paint(one) & paint(other)).sum(), (paint(one) | paint(other)).sum()
    expected = both / either if either else 0.0
    told = measure_iou(np.array([one], float), np.array([other], float))[0, 0]
    assert told == pytest.approx(expected)
