"""The gate of a stage: a pure function from recorded evidence to pass, hold or fail.

No data is never a pass. Errors are judged before success. Every hold says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from inference_core.contract.words import FailureCause
from server.rollouts.evidence import Evidence, GateVerdict, MetricLine, Word
from server.rollouts.latency_gate import judge_latency
from server.rollouts.lines import at_most, by_cause, devices, noun
from server.rollouts.policy import RolloutPolicy

CRASHES = frozenset(map(str, (FailureCause.CRASHED, FailureCause.HUNG, FailureCause.OUT_OF_MEMORY)))


def judge(policy: RolloutPolicy, evidence: Evidence) -> GateVerdict:
    """The verdict on a stage. Fail goes before hold, and hold before pass."""
    metrics = tuple(line for rule in RULES for line in rule(policy, evidence))
    words = {line.verdict for line in metrics}
    word: Word = "fail" if "fail" in words else "hold" if "hold" in words else "pass"
    reasons = tuple(line.why for line in metrics if line.verdict == word)
    return GateVerdict(word=word, reasons=reasons, metrics=metrics)


def _failed_devices(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    causes, outcomes = by_cause(evidence.failed), evidence.outcomes
    if policy.error_limit.count is not None:
        why = f"{devices(evidence.failures)} failed{causes}"
        limit = policy.error_limit.count
        yield at_most("failed devices", evidence.failures, limit, n=outcomes, why=why)
        return
    limit_share = policy.error_limit.share or 0.0
    share = evidence.failures / outcomes if outcomes else 0.0
    # A share of few says little: it is judged from the minimum count on. Until then the
    # lines below hold, so that this is no way to pass.
    is_over = outcomes >= policy.min_devices and share > limit_share
    yield MetricLine(
        name="failed share of devices",
        value=share,
        limit=limit_share,
        n=outcomes,
        verdict="fail" if is_over else "pass",
        why=f"{evidence.failures} of {devices(outcomes)} with an outcome failed{causes}",
    )


def _faults(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    crashes = {cause: n for cause, n in evidence.faults.items() if cause in CRASHES}
    faults = {cause: n for cause, n in evidence.faults.items() if cause not in CRASHES}
    for name, found, limit in (
        ("model faults", faults, policy.max_faults),
        ("crashes", crashes, policy.max_crashes),
    ):
        total = sum(found.values())
        why = f"{total} {name} in {evidence.frames} frames{by_cause(found)}"
        yield at_most(name, total, limit, n=evidence.frames, why=why)


def _settled(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    """Nobody may still be on the way: what is not known yet cannot be good."""
    after = {"skip": "then skipped", "fail": "then failed"}.get(policy.when_offline)
    deadline = f"waited for up to {policy.deadline_s:g} s, {after}" if after else "waited for"
    parts = (
        (evidence.waiting - evidence.uncertified, "still to be offered the release"),
        (evidence.uncertified, "without a signed release for the profile"),
        (evidence.in_flight - evidence.outside_window, "on the way"),
        (evidence.outside_window, "ready, and waiting for the update window of the line"),
        (evidence.offline, f"offline ({deadline})"),
    )
    unsettled = evidence.waiting + evidence.in_flight + evidence.offline
    yield MetricLine(
        name="devices on the way",
        value=unsettled,
        limit=0,
        n=evidence.denominator,
        verdict="hold" if unsettled else "pass",
        why=", ".join(f"{devices(n)} {what}" for n, what in parts if n > 0)
        or "no device is on the way",
    )


def _inconclusive(_policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    """Neither passed nor failed, and nothing to go on by until a person has looked."""
    count = evidence.undecided
    if not count:
        return
    its = "its camera" if count == 1 else "their cameras"
    why = (
        f"{devices(count)} gave no verdict{by_cause(evidence.inconclusive)}; look at {its}, then "
        f"start another rollout, or take {'it' if count == 1 else 'them'} out of the group"
    )
    yield MetricLine(
        name="devices without a verdict",
        value=count,
        limit=0,
        n=evidence.denominator,
        verdict="hold",
        why=why,
    )


def _skipped(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    if not evidence.skipped:
        return
    everyone = evidence.denominator + evidence.skipped
    limit = policy.max_skipped(everyone)
    yield MetricLine(
        name="skipped devices",
        value=evidence.skipped,
        limit=limit,
        n=everyone,
        verdict="hold" if evidence.skipped > limit else "pass",
        why=f"{devices(evidence.skipped)} skipped as offline; {limit} of {everyone} may be",
    )


def _running(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    of = evidence.denominator
    # The small subtraction keeps 0.1 of 30 at three devices, whatever binary fractions say.
    needed = max(policy.min_devices, math.ceil(policy.min_success_share * of - 1e-9))
    missing = needed - evidence.running
    yield MetricLine(
        name="devices running the release",
        value=evidence.running,
        limit=needed,
        n=of,
        verdict="hold" if missing > 0 else "pass",
        why=_why_not_running(evidence, missing)
        if missing > 0
        else f"{evidence.running} of {devices(of)} report running the release",
    )


def _why_not_running(evidence: Evidence, missing: int) -> str:
    if not evidence.denominator:
        return "the stage has no device to judge: none was offered the release, or all have left"
    why = f"{missing} more {noun(missing)} must report running the release"
    if evidence.unconfirmed:
        return f"{why} ({evidence.unconfirmed} committed, but do not report it)"
    is_over = evidence.denominator == evidence.outcomes + evidence.undecided
    return f"{why}, and none is left that could" if is_over else why


def _soak(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    missing_s = math.ceil(policy.min_soak_s - evidence.soak_s)
    yield MetricLine(
        name="soak seconds",
        value=evidence.soak_s,
        limit=policy.min_soak_s,
        n=evidence.running,
        verdict="hold" if missing_s > 0 else "pass",
        why=f"{missing_s} s more soak" if missing_s > 0 else f"soaked for {evidence.soak_s} s",
    )


def _frames(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    missing = policy.min_frames - evidence.fewest_frames
    noun = "frame" if missing == 1 else "frames"
    yield MetricLine(
        name="frames on each device",
        value=evidence.fewest_frames,
        limit=policy.min_frames,
        n=evidence.frames,
        verdict="hold" if missing > 0 else "pass",
        why=f"{missing} more {noun} on the device with the fewest"
        if missing > 0
        else f"{evidence.fewest_frames} frames or more on every device",
    )


Rule = Callable[[RolloutPolicy, Evidence], Iterable[MetricLine]]

RULES: tuple[Rule, ...] = (
    _failed_devices,
    _faults,
    judge_latency,
    _settled,
    _inconclusive,
    _skipped,
    _running,
    _soak,
    _frames,
)
"""In the order in which they are shown: what can fail, then what can hold."""
