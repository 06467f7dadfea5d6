"""The gate: what passes, what holds, what fails, and what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.contract.histogram import ExponentialHistogram
from server.lib.errors import Invalid
from server.lib.messages import read_data
from server.rollouts.evidence import Evidence, Judgement, ProfileLatency
from server.rollouts.gates import judge
from server.rollouts.policy import ErrorLimit, RolloutPolicy

POLICY = RolloutPolicy(min_soak_s=60, min_frames=20)
GOOD = Evidence(running=3, soak_s=60, frames=100, fewest_frames=30)
ORDER = {"pass": 0, "hold": 1, "fail": 2}


def latency(
    candidate_ms: float, baseline_ms: float | None = None, **throttled: int
) -> ProfileLatency:
    return ProfileLatency(
        candidate=ExponentialHistogram.of([candidate_ms] * 50),
        baseline=ExponentialHistogram.of([baseline_ms] * 50 if baseline_ms else []),
        **throttled,
    )


def with_(**changes: Any) -> Evidence:
    return GOOD.model_copy(update=changes)


counts = st.integers(0, 50)
causes = st.dictionaries(st.sampled_from(["crashed", "not_finite", "too_slow"]), counts)
evidences = st.builds(
    Evidence,
    running=counts,
    unconfirmed=counts,
    in_flight=counts,
    offline=counts,
    waiting=counts,
    failed=causes,
    inconclusive=st.dictionaries(st.just("no_frames"), counts),
    skipped=counts,
    superseded=counts,
    removed=counts,
    soak_s=st.integers(0, 200),
    frames=st.integers(0, 1000),
    fewest_frames=st.integers(0, 100),
    faults=causes,
    latency_ms=st.dictionaries(
        st.sampled_from(["pi", "x86"]), st.builds(latency, st.floats(1, 300), st.floats(1, 300))
    ),
)
policies = st.builds(
    RolloutPolicy,
    min_devices=st.integers(1, 20),
    min_success_share=st.floats(0.01, 1),
    min_soak_s=st.floats(0, 100),
    min_frames=st.integers(1, 50),
    error_limit=st.one_of(
        st.builds(ErrorLimit, count=st.integers(0, 60)),
        st.builds(ErrorLimit, share=st.floats(0, 0.99)),
    ),
    max_faults=counts,
    max_crashes=counts,
    max_p95_ms=st.one_of(st.none(), st.floats(1, 400)),
    max_p95_ratio=st.one_of(st.none(), st.floats(0.5, 3)),
)


def test_enough_good_evidence_passes() -> None:
    verdict = judge(POLICY, GOOD)
    assert verdict.word == "pass"
    assert "3 of 3 devices report running the release" in verdict.reasons


@given(policies, evidences)
def test_no_data_is_never_a_pass(policy: RolloutPolicy, evidence: Evidence) -> None:
    for missing in ({"running": 0}, {"fewest_frames": 0}):
        assert judge(policy, evidence.model_copy(update=missing)).word != "pass"


@given(
    policies, evidences, st.sampled_from(["failed", "faults"]), st.sampled_from(["crashed", "x"])
)
def test_one_more_error_never_makes_a_verdict_better(
    policy: RolloutPolicy, evidence: Evidence, where: str, cause: str
) -> None:
    errors = dict(getattr(evidence, where))
    errors[cause] = errors.get(cause, 0) + 1
    worse = judge(policy, evidence.model_copy(update={where: errors}))
    assert ORDER[worse.word] >= ORDER[judge(policy, evidence).word]


@given(policies, evidences, st.sampled_from(["in_flight", "offline", "waiting"]))
def test_nothing_passes_while_a_device_is_on_its_way(
    policy: RolloutPolicy, evidence: Evidence, bucket: str
) -> None:
    assert judge(policy, evidence.model_copy(update={bucket: 1})).word != "pass"


@given(policies, evidences)
def test_nothing_passes_while_a_device_has_given_no_verdict(
    policy: RolloutPolicy, evidence: Evidence
) -> None:
    undecided = evidence.model_copy(update={"inconclusive": {"no_frames": 1}})
    assert judge(policy, undecided).word != "pass"


@given(policies, evidences, counts)
def test_devices_without_a_verdict_are_no_failures_and_hide_none(
    policy: RolloutPolicy, evidence: Evidence, count: int
) -> None:
    undecided = evidence.model_copy(update={"inconclusive": {"no_frames": count}})
    decided = evidence.model_copy(update={"inconclusive": {}})
    assert (judge(policy, undecided).word == "fail") == (judge(policy, decided).word == "fail")


@given(policies, evidences, counts, counts)
def test_superseded_and_removed_devices_change_nothing(
    policy: RolloutPolicy, evidence: Evidence, superseded: int, removed: int
) -> None:
    other = evidence.model_copy(update={"superseded": superseded, "removed": removed})
    assert judge(policy, other) == judge(policy, evidence)


@given(policies, evidences)
def test_recorded_evidence_replays_to_the_same_verdict(
    policy: RolloutPolicy, evidence: Evidence
) -> None:
    judgement = Judgement(evidence=evidence, verdict=judge(policy, evidence))
    stored = json.loads(json.dumps(judgement.model_dump(mode="json")))
    read = Judgement.model_validate(stored)
    assert judge(RolloutPolicy.model_validate(policy.model_dump(mode="json")), read.evidence) == (
        read.verdict
    )
    assert read.model_dump(mode="json") == stored


@given(policies, evidences)
def test_every_verdict_has_a_reason_and_the_worst_line_decides(
    policy: RolloutPolicy, evidence: Evidence
) -> None:
    verdict = judge(policy, evidence)
    assert verdict.reasons
    assert all(verdict.reasons)
    assert ORDER[verdict.word] == max(ORDER[line.verdict] for line in verdict.metrics)


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (Evidence(), "the stage has no device to judge"),
        (Evidence(superseded=2, removed=1), "the stage has no device to judge"),
        (with_(running=2, unconfirmed=1), "1 more device must report running the release (1 comm"),
        (with_(soak_s=48), "12 s more soak"),
        (with_(fewest_frames=0), "20 more frames on the device with the fewest"),
        (with_(fewest_frames=19), "1 more frame on the device with the fewest"),
        (
            with_(inconclusive={"no_frames": 1}),
            "1 device gave no verdict: no_frames ×1; look at its camera, then start another roll",
        ),
        (
            Evidence(inconclusive={"no_frames": 2}),
            "2 more devices must report running the release, and none is left that could",
        ),
        (with_(in_flight=1), "1 device on the way"),
        (with_(offline=2), "2 devices offline (waited for)"),
        (with_(waiting=3), "3 devices still to be offered the release"),
        (with_(waiting=1, uncertified=1), "1 device without a signed release for the profile"),
    ],
)
def test_each_hold_says_what_is_missing(evidence: Evidence, reason: str) -> None:
    verdict = judge(POLICY, evidence)
    assert verdict.word == "hold"
    assert any(reason in given for given in verdict.reasons), verdict.reasons


def test_all_ended_without_the_threshold_is_a_hold_and_never_a_pass() -> None:
    tolerant = RolloutPolicy(error_limit=ErrorLimit(count=5), min_soak_s=0)
    verdict = judge(tolerant, with_(running=2, failed={"crashed": 1}))
    assert verdict.word == "hold"
    assert verdict.reasons == (
        "1 more device must report running the release, and none is left that could",
    )


def test_the_error_limit_is_judged_before_the_success_threshold() -> None:
    lenient = RolloutPolicy(min_success_share=0.5, min_soak_s=0)
    verdict = judge(lenient, with_(running=9, failed={"hung": 1}))
    assert verdict.word == "fail"
    assert verdict.reasons == ("1 device failed: hung ×1",)


def test_failures_up_to_the_count_are_endured() -> None:
    policy = RolloutPolicy(
        error_limit=ErrorLimit(count=1), min_success_share=0.8, min_soak_s=0, min_frames=1
    )
    assert judge(policy, with_(running=9, failed={"hung": 1})).word == "pass"
    assert judge(policy, with_(running=9, failed={"hung": 2})).word == "fail"


def test_a_share_of_errors_is_judged_from_the_minimum_count_on() -> None:
    policy = RolloutPolicy(error_limit=ErrorLimit(share=0.2), min_devices=5)
    assert judge(policy, with_(running=3, failed={"hung": 1}, in_flight=6)).word == "hold"
    assert judge(policy, with_(running=3, failed={"hung": 2}, in_flight=5)).word == "fail"


def test_crashes_and_faults_have_limits_of_their_own() -> None:
    policy = RolloutPolicy(max_faults=2, min_soak_s=0)
    assert judge(policy, with_(faults={"not_finite": 2})).word == "pass"
    verdict = judge(policy, with_(faults={"not_finite": 2, "crashed": 1}))
    assert verdict.reasons == ("1 crashes in 100 frames: crashed ×1",)


def test_a_lost_camera_does_not_outweigh_a_crash() -> None:
    verdict = judge(POLICY, with_(failed={"crashed": 1}, inconclusive={"no_frames": 1}))
    assert verdict.reasons == ("1 device failed: crashed ×1",)


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (latency(150), "fail"),
        (latency(150, throttled=1), "hold"),
        (latency(20, throttled=1), "pass"),
    ],
)
def test_slow_frames_of_a_throttled_board_are_no_verdict_and_quick_ones_are(
    seen: ProfileLatency, word: str
) -> None:
    policy = POLICY.model_copy(update={"max_p95_ms": 100.0})
    verdict = judge(policy, with_(latency_ms={"pi": seen}))
    assert verdict.word == word
    if word == "hold":
        assert "but 1 device of pi was throttled meanwhile" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (latency(30, 20), "fail"),
        (latency(30, 20, throttled=2), "hold"),
        (latency(30, 20, baseline_throttled=2), "fail"),
        (latency(20, 20), "pass"),
        (latency(20, 20, throttled=2), "pass"),
        (latency(20, 20, baseline_throttled=2), "hold"),
    ],
)
def test_a_throttled_baseline_flatters_nobody(seen: ProfileLatency, word: str) -> None:
    policy = POLICY.model_copy(update={"max_p95_ratio": 1.2})
    assert judge(policy, with_(latency_ms={"pi": seen})).word == word


def test_the_slowest_profile_decides() -> None:
    policy = POLICY.model_copy(update={"max_p95_ms": 100.0})
    verdict = judge(policy, with_(latency_ms={"pi": latency(150), "x86": latency(20)}))
    assert verdict.word == "fail"
    assert len(verdict.reasons) == 1
    assert "on pi, the limit 100 ms" in verdict.reasons[0]


def test_a_ratio_compares_with_the_previous_release_on_the_same_profile() -> None:
    policy = POLICY.model_copy(update={"max_p95_ratio": 1.1})
    assert judge(policy, with_(latency_ms={"pi": latency(100, 100)})).word == "pass"
    assert judge(policy, with_(latency_ms={"pi": latency(120, 100)})).word == "fail"
    held = judge(policy, with_(latency_ms={"pi": latency(100)}))
    assert held.word == "hold"
    assert "no device of pi on the previous release" in held.reasons[0]


def test_a_latency_limit_without_latency_holds() -> None:
    policy = POLICY.model_copy(update={"max_p95_ms": 100.0})
    assert judge(policy, GOOD).reasons == ("no device has reported its latency",)


def test_skipped_devices_leave_the_denominator_up_to_the_cap() -> None:
    policy = POLICY.model_copy(update={"when_offline": "skip", "max_skip_share": 0.25})
    assert judge(policy, with_(skipped=1)).word == "pass"
    assert judge(policy, with_(skipped=2)).word == "hold"


@pytest.mark.parametrize(
    "body",
    [
        {"min_devices": 0},
        {"min_frames": 0},
        {"min_success_share": 0},
        {"min_success_share": 1.5},
        {"min_soak_s": -1},
        {"min_soak_s": float("inf")},
        {"min_soak_s": float("nan")},
        {"max_p95_ms": 0},
        {"error_limit": {}},
        {"error_limit": {"count": 1, "share": 0.1}},
        {"error_limit": {"share": 1}},
        {"when_offline": "pray"},
        {"max_concurrent": 0},
        {"probation": {"min_frames": 0}},
        {"min_soak": 5},
        [],
        "fast",
    ],
)
def test_a_policy_that_makes_no_sense_is_invalid(body: object) -> None:
    with pytest.raises(Invalid):
        read_data(RolloutPolicy, body)
