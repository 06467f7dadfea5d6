"""Signals merge in any order and grouping to the same, to the last bit."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from functools import reduce
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from inference_core.contract.histogram import ExponentialHistogram
from inference_core.contract.signals import EmbeddingBlock, ShareHistogram, Signals

START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)

shares = st.lists(st.floats(0, 1), max_size=30)
magnitudes = st.lists(st.floats(0, 1e6), max_size=30)


@st.composite
def signals(draw: st.DrawFn) -> Signals:
    labels = draw(st.lists(st.sampled_from(["scratch", "dent", "good"]), max_size=3, unique=True))
    return Signals(
        confidence={label: ShareHistogram.of(draw(shares)) for label in labels},
        luma=ShareHistogram.of(draw(shares)),
        clipped_share=ShareHistogram.of(draw(shares)),
        sharpness=ExponentialHistogram.of(draw(magnitudes)),
        embeddings=tuple(block(number) for number in draw(st.lists(st.integers(0, 5), max_size=3))),
    )


def block(number: int) -> EmbeddingBlock:
    mean = np.full(512, number, "<f2").tobytes()
    return EmbeddingBlock(
        map_sha256="a" * 64,
        started_at=START + timedelta(seconds=number),
        frames=32,
        mean=base64.b64encode(mean).decode(),
    )


@settings(max_examples=50, deadline=None)
@given(parts=st.lists(signals(), min_size=3, max_size=3))
def test_signals_merge_to_the_same_in_any_order_and_grouping(parts: list[Signals]) -> None:
    results = {reduce(Signals.merge, order, Signals()).to_json() for order in permutations(parts)}
    one, two, three = parts
    results.add(Signals().merge(one.merge(two.merge(three))).to_json())
    results.add(Signals().merge(one.merge(two)).merge(three).to_json())
    assert len({_canonical(result) for result in results}) == 1


def _canonical(result: bytes) -> bytes:
    """The order of names is no part of the statistics."""
    read = Signals.model_validate_json(result)
    ordered = dict(sorted(read.confidence.items()))
    return read.model_copy(update={"confidence": ordered}).to_json()


@given(one=shares, other=shares)
def test_merging_is_counting_all_at_once(one: list[float], other: list[float]) -> None:
    merged = ShareHistogram.of(one).merge(ShareHistogram.of(other))
    assert merged == ShareHistogram.of([*one, *other])
    assert merged.count == len(one) + len(other)


def test_the_bins_are_64_of_one_width_and_the_last_holds_one() -> None:
    assert ShareHistogram.of([0, 1 / 64, 0.5, 1.0]).counts == {0: 1, 1: 1, 32: 1, 63: 1}


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_value_that_is_no_share_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        ShareHistogram.of([value])


def test_a_block_that_came_twice_counts_once() -> None:
    once = Signals(embeddings=(block(1), block(2)))
    assert once.merge(Signals(embeddings=(block(2), block(3)))).embeddings == (
        block(1),
        block(2),
        block(3),
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"counts": {64: 1}},
        {"counts": {-1: 1}},
        {"counts": {0: -5}},
        {"edges": "share64.v2", "counts": {}},
    ],
)
def test_a_strange_histogram_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ShareHistogram.model_validate(broken)


def test_a_mean_that_is_no_base64_of_512_numbers_is_refused() -> None:
    good = block(1).model_dump()
    for mean in ("!" * len(good["mean"]), good["mean"][:-4]):
        with pytest.raises(ValidationError):
            EmbeddingBlock.model_validate({**good, "mean": mean})
