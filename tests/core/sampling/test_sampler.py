"""Which frames are taken, and that their probabilities are what they say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from inference_core.contract.sampling import SampleDraw, SamplingPolicy
from inference_core.contract.serve import SetSampleRates
from inference_core.pipeline.sampling.odds import Odds, Stream
from tests.core.sampling.world import GREY, always, job, new_sights, result, seeded

CERTAIN = result(0.95, verdict="fail")
WANTED = 1 / (10 * 2.0)
"""Of a camera with 10 frames a second that is sampled every 2 s."""


def test_the_first_frame_of_each_camera_is_certain_to_be_taken() -> None:
    sampler = seeded(1, job(cameras=("left", "right")))
    for camera in ("left", "right"):
        draw = sampler.draw(GREY, result(camera=camera))
        assert draw == SampleDraw(probability=1, reason="random", phash="0" * 16)


def test_frames_that_nothing_speaks_for_are_taken_at_random_as_often_as_it_says() -> None:
    """The number taken is binomial, so its bounds are exact; so are those of the bad ones."""
    sampler, frames, bad_every = seeded(7), 10_000, 50
    draws = [
        (index, draw)
        for index in range(frames)
        if (draw := sampler.draw(GREY, CERTAIN)) and index > 0
    ]
    assert {draw.probability for _, draw in draws} == {WANTED}
    assert {draw.reason for _, draw in draws} == {"random"}
    assert _within(len(draws), frames - 1, WANTED)
    bad = [index for index, _ in draws if index % bad_every == 0]
    estimate = len(bad) / WANTED / frames
    low, high = binom.interval(0.9999, frames // bad_every - 1, WANTED)
    assert low / WANTED / frames <= estimate <= high / WANTED / frames


def test_the_share_of_bad_parts_is_estimated_without_bias_from_what_was_chosen() -> None:
    """Horvitz and Thompson's estimate over many draws of one population, which the plain share
    of the bad ones among the chosen misses by far."""
    population = _make_population(frames=700)
    truth = np.mean([is_bad for *_, is_bad in population])
    weighted, plain = [], []
    for seed in range(60):
        sampler = seeded(seed)
        taken = [
            (draw.probability, is_bad)
            for picture, seen, is_bad in population
            if (draw := sampler.draw(picture, seen))
        ]
        weighted.append(sum(is_bad / p for p, is_bad in taken) / len(population))
        plain.append(np.mean([is_bad for _, is_bad in taken]))
    error_of_mean = np.std(weighted) / np.sqrt(len(weighted))
    assert abs(np.mean(weighted) - truth) < 4 * error_of_mean
    assert error_of_mean < truth / 10  # else the line above could not fail
    assert np.mean(plain) > 2 * truth


def test_each_stream_gets_its_share() -> None:
    policy = SamplingPolicy()
    sampler, frames = seeded(3), 20_000
    sights, random = new_sights(4), np.random.default_rng(5)
    reasons: Counter[str] = Counter()
    picture = sights()
    for _ in range(frames):
        is_new_scene = random.random() < 0.5
        picture = sights() if is_new_scene else picture
        verdict = "fail" if random.random() < 0.1 else "pass"
        score = 0.45 if random.random() < 0.2 else 0.95
        draw = sampler.draw(picture, result(score, verdict=verdict))
        reasons[draw.reason if draw else "none"] += 1
    shares = {
        "random": policy.random_share,
        "uncertain": policy.uncertain_share,
        "disagreement": policy.disagreement_share,
        "diverse": policy.diverse_share,
    }
    for reason, share in shares.items():
        expected = frames * WANTED * share / policy.random_share
        assert reasons[reason] == pytest.approx(expected, rel=0.2), reasons


def test_a_near_duplicate_keeps_the_floor_and_loses_only_the_boosts() -> None:
    sampler = always()
    fresh = [sampler.draw(GREY, result(0.41, verdict="fail")) for _ in range(20)]
    assert [draw.probability for draw in fresh[1:] if draw] == [WANTED] * 19


def test_the_same_picture_with_another_answer_is_no_duplicate() -> None:
    sampler = always()
    sampler.draw(GREY, result())
    other = sampler.draw(GREY, result(0.41, verdict="fail"))
    assert other
    assert other.probability > WANTED


def test_a_verdict_that_changes_on_the_same_scene_is_a_disagreement() -> None:
    sampler = always()
    sampler.draw(GREY, result())
    flickering = sampler.draw(GREY, CERTAIN)
    assert flickering
    mean_weight = (1 + 0 + 1) / 3  # a stream begins as if it had seen one frame of weight 1
    boost = WANTED * 0.15 / 0.40 / mean_weight
    assert flickering.probability == pytest.approx(WANTED + boost)


def test_a_verdict_that_changes_with_the_part_is_none() -> None:
    sampler = seeded(1, job(sampling=SamplingPolicy(uncertain_share=0, diverse_share=0)))
    sights = new_sights(2)
    draws = [sampler.draw(sights(), result(verdict=word)) for word in ("pass", "fail") * 300]
    assert {draw.reason for draw in draws if draw} == {"random"}


def test_a_policy_without_random_samples_keeps_the_floor() -> None:
    policy = SamplingPolicy(random_share=0, min_probability=0.001)
    sampler = always(job(sampling=policy))
    draws = [sampler.draw(GREY, CERTAIN) for _ in range(3)]
    assert [draw.probability for draw in draws if draw] == [1, 0.001, 0.001]


def test_nothing_is_drawn_while_nothing_may_be_uploaded() -> None:
    sampler = always()
    nothing = SetSampleRates(random=0, chosen=1)
    assert sampler.draw(GREY, CERTAIN, nothing) is None


def test_a_seed_makes_the_draws_repeat() -> None:
    def run() -> list[SampleDraw | None]:
        sampler, sights = seeded(11), new_sights(12)
        return [sampler.draw(sights(), CERTAIN) for _ in range(300)]

    assert run() == run()


@settings(max_examples=200, deadline=None)
@given(
    policy=st.builds(
        SamplingPolicy,
        min_probability=st.floats(1e-6, 1),
        random_share=st.floats(0, 0.25),
        uncertain_share=st.floats(0, 0.25),
        disagreement_share=st.floats(0, 0.25),
        diverse_share=st.floats(0, 0.25),
    ),
    pace=st.tuples(st.floats(0.01, 1000), st.floats(0.01, 1e6)),
    rates=st.builds(
        SetSampleRates, random=st.floats(0, 1, exclude_min=True), chosen=st.floats(0, 1)
    ),
    frames=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.floats(0, 1),
            st.sampled_from(["pass", "fail"]),
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_every_frame_has_a_probability_above_the_floor_and_at_most_1(
    policy: SamplingPolicy,
    pace: tuple[float, float],
    rates: SetSampleRates,
    frames: list[tuple[int, float, str]],
) -> None:
    frames_per_s, sample_every_s = pace
    sampler = always(job(frames_per_s=frames_per_s, sample_every_s=sample_every_s, sampling=policy))
    wanted = min(1.0, 1 / (frames_per_s * sample_every_s)) if policy.random_share else 0.0
    floor = max(policy.min_probability, wanted * rates.random)
    for scene, score, verdict in frames:
        draw = sampler.draw(new_sights(scene)(), result(score, verdict=verdict), rates)
        assert draw is not None
        assert min(floor, 1) <= draw.probability <= 1


@given(
    terms=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_a_draw_takes_a_frame_exactly_when_it_lies_below_the_probability(
    terms: list[float], draw: float
) -> None:
    odds = Odds(dict(zip(("random", "uncertain", "disagreement", "diverse"), terms, strict=True)))
    assert (odds.pick(draw) is not None) == (draw < odds.probability)
    assert (odds.pick(draw) == "random") == (draw < terms[0])


def test_a_stream_takes_its_rate_of_all_frames_however_its_weights_change() -> None:
    random = np.random.default_rng(2)
    stream, rate = Stream(0.01), 0.01
    weights = np.concatenate([random.random(20_000), random.random(20_000) * 0.05])
    chances = [stream.find_chance(weight) for weight in weights]
    for half in (chances[2_000:20_000], chances[28_000:]):
        assert np.mean(half) == pytest.approx(rate, rel=0.05)


def _within(count: int, trials: int, probability: float) -> bool:
    low, high = binom.interval(0.9999, trials, probability)
    return bool(low <= count <= high)


def _make_population(frames: int) -> list:
    """Bad parts are mostly uncertain and look unlike the others: what boosts are for."""
    random, sights = np.random.default_rng(20), new_sights(21)
    population = []
    for _ in range(frames):
        is_bad = random.random() < 0.05
        picture = sights() if is_bad or random.random() < 0.02 else GREY
        score = random.uniform(0.4, 0.5) if is_bad or random.random() < 0.05 else 0.95
        population.append((picture, result(score), is_bad))
    return population
