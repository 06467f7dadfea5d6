"""Counts are exact against made worlds, and say what their documents say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.contract.pipeline import Track
from inference_core.results import Boxes
from inference_core.tracking import Followed, Follower

from .worlds import FRAME, LINE, Detector, make_world, scatter_world, watch

SEEDS = range(5)
UPWARD = Track(line=LINE, max_missing_s=1.0)
SQUARE = Track(zone=((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))


def box_at(*centres: tuple[float, float], side: float = 40, score: float = 0.9) -> Boxes:
    """Boxes of one class around points of a 1000×1000 frame."""
    centre = np.array(centres, dtype=np.float64).reshape(-1, 2)
    xyxy = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    count = len(centre)
    return Boxes(("part",), np.zeros(count, np.int64), np.full(count, score), xyxy)


def walk(track: Track, *points: tuple[float, float], fps: float = 25) -> Followed:
    """One object from point to point in steps of at most 8 pixels."""
    follower, time_s = Follower(track), 0.0
    followed = follower.follow(box_at(points[0]), time_s, (1000, 1000))
    for begin, end in pairwise(points):
        steps = max(int(np.hypot(end[0] - begin[0], end[1] - begin[1]) / 8), 1)
        for share in np.arange(1, steps + 1) / steps:
            time_s += 1 / fps
            place = (
                begin[0] + (end[0] - begin[0]) * share,
                begin[1] + (end[1] - begin[1]) * share,
            )
            followed = follower.follow(box_at(place), time_s, (1000, 1000))
    return followed


@pytest.mark.parametrize("missing", range(5))
@pytest.mark.parametrize("fps", [10, 25])
def test_a_hundred_objects_are_counted_exactly_with_frames_missing_at_the_line(
    missing: int, fps: float
) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        world = make_world(rng).give_room(lead_s=5.5 / fps)
        detector = Detector(rng, missing_at_line=missing)
        assert watch(world, detector, fps) == world.count(), seed


def test_a_hundred_objects_are_counted_exactly_by_a_bad_detector() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        world = make_world(rng).give_room(lead_s=5.5 / 25)
        detector = Detector(rng, 0.2, missing_at_line=4, tremble=0.02, unsure_share=0.1)
        assert watch(world, detector) == world.count(), seed


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 30),
    missing=st.integers(0, 4),
    drop_share=st.floats(0, 0.2),
)
@settings(max_examples=20, deadline=None)
def test_any_world_is_counted_exactly(
    seed: int, count: int, missing: int, drop_share: float
) -> None:
    rng = np.random.default_rng(seed)
    world = make_world(rng, count).give_room(lead_s=8 / 25)
    detector = Detector(rng, drop_share, missing_at_line=missing, tremble=0.01)
    assert watch(world, detector) == world.count()


@pytest.mark.parametrize("fps", [10, 15, 25, 50])
def test_the_counts_do_not_depend_on_the_frame_rate(fps: float) -> None:
    rng = np.random.default_rng(7)
    world = make_world(rng).give_room(lead_s=0.5)
    assert watch(world, Detector(rng), fps) == world.count()


def test_objects_that_pass_over_each_other_in_all_directions_keep_their_counts() -> None:
    """One world in fifty or so holds a pair that even a person could not tell apart."""
    errors = crossings = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        world = scatter_world(rng).give_room(lead_s=0.3)
        for told, true in zip(watch(world, Detector(rng)), world.count(), strict=True):
            errors += abs(sum(told.values()) - sum(true.values()))
            crossings += sum(true.values())
    assert crossings > 60
    assert errors <= 1


def test_who_goes_up_over_a_line_from_left_to_right_has_entered() -> None:
    track = Track(line=((0.2, 0.5), (0.8, 0.5)))
    assert walk(track, (500, 700), (500, 300)).counts.entered == {"part": 1}
    assert walk(track, (500, 300), (500, 700)).counts.left == {"part": 1}
    assert walk(track, (500, 700), (500, 300)).counts.left == {}


def test_a_line_ends_at_its_points() -> None:
    track = Track(line=((0.4, 0.5), (0.6, 0.5)))
    beside = walk(track, (300, 700), (300, 300))
    assert beside.counts.entered == {}
    around = walk(track, (500, 700), (500, 300), (800, 300), (800, 700), (500, 700), (500, 300))
    assert (around.counts.entered, around.counts.left) == ({"part": 2}, {})


def test_trembling_on_the_line_counts_once() -> None:
    rng = np.random.default_rng(3)
    heights = [540, 530, 515, *(500 + rng.normal(0, 1.2, 400)), 485, 470, 455]
    follower = Follower(Track(line=((0.0, 0.5), (1.0, 0.5))))
    for index, y in enumerate(heights):
        counts = follower.follow(box_at((500, float(y))), index / 25, (1000, 1000)).counts
    assert (counts.entered, counts.left) == ({"part": 1}, {})


def test_who_turns_back_at_the_line_counts_for_nothing() -> None:
    counts = walk(UPWARD, (500, 700), (500, 497), (500, 700)).counts
    assert (counts.entered, counts.left) == ({}, {})


def test_who_comes_back_counts_once_each_way() -> None:
    counts = walk(UPWARD, (500, 700), (500, 400), (500, 700), (500, 400)).counts
    assert (counts.entered, counts.left) == ({"part": 2}, {"part": 1})


def test_who_appears_beyond_the_line_was_never_before_it() -> None:
    assert walk(UPWARD, (500, 498), (500, 300)).counts.entered == {}


def test_who_appears_just_before_the_line_counts_and_who_vanishes_just_behind_it_too() -> None:
    assert walk(UPWARD, (500, 502), (500, 490)).counts.entered == {"part": 1}


def test_one_sighting_on_each_side_is_enough() -> None:
    follower = Follower(UPWARD)
    follower.follow(box_at((500, 510)), 0.0, (1000, 1000))
    assert follower.follow(box_at((500, 490)), 0.04, (1000, 1000)).counts.entered == {"part": 1}


def test_a_zone_tells_who_came_who_went_and_who_is_in() -> None:
    inside = walk(SQUARE, (100, 500), (500, 500)).counts
    assert (inside.entered, inside.left, inside.inside) == ({"part": 1}, {}, {"part": 1})
    gone = walk(SQUARE, (100, 500), (500, 500), (500, 900)).counts
    assert (gone.entered, gone.left, gone.inside) == ({"part": 1}, {"part": 1}, {})


def test_who_appears_inside_a_zone_is_in_but_did_not_enter() -> None:
    counts = walk(SQUARE, (500, 500), (540, 500)).counts
    assert (counts.entered, counts.inside) == ({}, {"part": 1})


def test_who_vanishes_inside_a_zone_is_in_until_it_is_forgotten() -> None:
    follower = Follower(SQUARE)
    for index in range(3):
        follower.follow(box_at((500, 500)), index / 25, (1000, 1000))
    assert follower.follow(box_at(), 0.2, (1000, 1000)).counts.inside == {"part": 1}
    assert follower.follow(box_at(), 2.0, (1000, 1000)).counts.inside == {}


def test_a_narrow_zone_lets_large_objects_in() -> None:
    strip = Track(zone=((0.0, 0.48), (1.0, 0.48), (1.0, 0.52), (0.0, 0.52)))
    follower = Follower(strip)
    for index, y in enumerate(range(300, 501, 10)):
        counts = follower.follow(box_at((500, y), side=400), index / 25, (1000, 1000)).counts
    assert counts.entered == {"part": 1}


def test_a_zone_may_be_hollow_in_one_place() -> None:
    horseshoe = ((0.2, 0.2), (0.4, 0.2), (0.4, 0.6), (0.6, 0.6), (0.6, 0.2), (0.8, 0.2))
    track = Track(zone=(*horseshoe, (0.8, 0.8), (0.2, 0.8)))
    assert walk(track, (500, 100), (500, 500)).counts.entered == {}
    assert walk(track, (500, 100), (500, 700)).counts.entered == {"part": 1}
    assert walk(track, (100, 300), (900, 300)).counts.entered == {"part": 2}


def test_only_the_wanted_classes_count() -> None:
    rng = np.random.default_rng(5)
    world = make_world(rng).give_room(lead_s=0.3)
    follower = Follower(Track(line=LINE, labels=("nut",), max_missing_s=1.0))
    entered, left = watch(world, Detector(rng), follower=follower)
    true_entered, true_left = world.count()
    assert (entered, left) == ({"nut": true_entered["nut"]}, {"nut": true_left["nut"]})
    assert FRAME == (1920, 1080)
