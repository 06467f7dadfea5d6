"""The gate of a stage: a pure function from recorded evidence to pass, hold or fail.

No data is never a pass. Errors are judged before success. Every hold says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from inference_core.contract.words import FailureCause
from server.rollouts.evidence import Evidence, GateVerdict, MetricLine, ProfileLatency, Word
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
    causes, outcomes = _by_cause(evidence.failed), evidence.outcomes
    if policy.error_limit.count is not None:
        why = f"{_devices(evidence.failures)} failed{causes}"
        limit = policy.error_limit.count
        yield _at_most("failed devices", evidence.failures, limit, n=outcomes, why=why)
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
        why=f"{evidence.failures} of {_devices(outcomes)} with an outcome failed{causes}",
    )


def _faults(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    crashes = {cause: n for cause, n in evidence.faults.items() if cause in CRASHES}
    faults = {cause: n for cause, n in evidence.faults.items() if cause not in CRASHES}
    for name, found, limit in (
        ("model faults", faults, policy.max_faults),
        ("crashes", crashes, policy.max_crashes),
    ):
        total = sum(found.values())
        why = f"{total} {name} in {evidence.frames} frames{_by_cause(found)}"
        yield _at_most(name, total, limit, n=evidence.frames, why=why)


def _latency(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    if policy.max_p95_ms is None and policy.max_p95_ratio is None:
        return
    if not evidence.latency_ms:
        why = "no device has reported its latency"
        yield _unknown("latency p95", policy.max_p95_ms, why)
    for profile, latency in sorted(evidence.latency_ms.items()):
        p95_ms = latency.candidate.quantile(0.95)
        if p95_ms is None:
            why = f"no device of {profile} has reported its latency"
            yield _unknown(f"latency p95, {profile}", policy.max_p95_ms, why)
            continue
        if policy.max_p95_ms is not None:
            limit = policy.max_p95_ms
            why = f"p95 is {p95_ms:.1f} ms on {profile}, the limit {limit:g} ms"
            n = latency.candidate.count
            yield _at_most(f"latency p95, {profile}", p95_ms, limit, n=n, why=why)
        if policy.max_p95_ratio is not None:
            yield _against_baseline(profile, latency, p95_ms, policy.max_p95_ratio)


def _against_baseline(
    profile: str, latency: ProfileLatency, p95_ms: float, limit: float
) -> MetricLine:
    name, baseline_ms = f"latency p95 to baseline, {profile}", latency.baseline.quantile(0.95)
    if not baseline_ms:
        why = (
            f"no device of {profile} on the previous release has reported its latency; "
            "max_p95_ratio needs one"
        )
        return _unknown(name, limit, why)
    ratio = p95_ms / baseline_ms
    why = (
        f"p95 is {ratio:.2f} times that of the previous release on {profile} "
        f"({p95_ms:.1f} ms to {baseline_ms:.1f} ms), the limit {limit:g}"
    )
    return _at_most(name, ratio, limit, n=latency.candidate.count, why=why)


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
        why=", ".join(f"{_devices(n)} {what}" for n, what in parts if n > 0)
        or "no device is on the way",
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
        why=f"{_devices(evidence.skipped)} skipped as offline; {limit} of {everyone} may be",
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
        else f"{evidence.running} of {_devices(of)} report running the release",
    )


def _why_not_running(evidence: Evidence, missing: int) -> str:
    if not evidence.denominator:
        return "the stage has no device to judge: none was offered the release, or all have left"
    why = f"{missing} more {_noun(missing)} must report running the release"
    if evidence.unconfirmed:
        return f"{why} ({evidence.unconfirmed} committed, but do not report it)"
    is_over = evidence.denominator == evidence.outcomes
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
    _latency,
    _settled,
    _skipped,
    _running,
    _soak,
    _frames,
)
"""In the order in which they are shown: what can fail, then what can hold."""


def _at_most(name: str, value: float, limit: float, *, n: int, why: str) -> MetricLine:
    word: Word = "fail" if value > limit else "pass"
    return MetricLine(name=name, value=value, limit=limit, n=n, verdict=word, why=why)


def _unknown(name: str, limit: float | None, why: str) -> MetricLine:
    return MetricLine(name=name, value=None, limit=limit, n=0, verdict="hold", why=why)


def _by_cause(counts: Mapping[str, int]) -> str:
    found = sorted(((n, cause) for cause, n in counts.items() if n), reverse=True)
    return ": " + ", ".join(f"{cause} ×{n}" for n, cause in found) if found else ""


def _devices(count: int) -> str:
    return f"{count} {_noun(count)}"


def _noun(count: int) -> str:
    return "device" if count == 1 else "devices"
