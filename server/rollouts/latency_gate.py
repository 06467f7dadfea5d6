"""The gate's lines about latency: every profile by itself, and nothing against a hot board."""

from __future__ import annotations

from collections.abc import Iterator

from server.rollouts.evidence import Evidence, MetricLine, ProfileLatency
from server.rollouts.lines import at_most, devices, unknown, was
from server.rollouts.policy import RolloutPolicy


def judge_latency(policy: RolloutPolicy, evidence: Evidence) -> Iterator[MetricLine]:
    """Lines only where the policy limits latency; one that nobody has measured holds."""
    if policy.max_p95_ms is None and policy.max_p95_ratio is None:
        return
    if not evidence.latency_ms:
        why = "no device has reported its latency"
        yield unknown("latency p95", policy.max_p95_ms, why)
    for profile, latency in sorted(evidence.latency_ms.items()):
        p95_ms = latency.candidate.quantile(0.95)
        if p95_ms is None:
            why = f"no device of {profile} has reported its latency"
            yield unknown(f"latency p95, {profile}", policy.max_p95_ms, why)
            continue
        if policy.max_p95_ms is not None:
            limit = policy.max_p95_ms
            why = f"p95 is {p95_ms:.1f} ms on {profile}, the limit {limit:g} ms"
            n = latency.candidate.count
            line = at_most(f"latency p95, {profile}", p95_ms, limit, n=n, why=why)
            yield _unless_throttled(line, profile, latency)
        if policy.max_p95_ratio is not None:
            line = _against_baseline(profile, latency, p95_ms, policy.max_p95_ratio)
            yield _unless_throttled(line, profile, latency, latency.baseline_throttled)


def _against_baseline(
    profile: str, latency: ProfileLatency, p95_ms: float, limit: float
) -> MetricLine:
    name, baseline_ms = f"latency p95 to baseline, {profile}", latency.baseline.quantile(0.95)
    if not baseline_ms:
        why = (
            f"no device of {profile} on the previous release has reported its latency; "
            "max_p95_ratio needs one"
        )
        return unknown(name, limit, why)
    ratio = p95_ms / baseline_ms
    why = (
        f"p95 is {ratio:.2f} times that of the previous release on {profile} "
        f"({p95_ms:.1f} ms to {baseline_ms:.1f} ms), the limit {limit:g}"
    )
    return at_most(name, ratio, limit, n=latency.candidate.count, why=why)


def _unless_throttled(
    line: MetricLine, profile: str, latency: ProfileLatency, slow_baseline: int = 0
) -> MetricLine:
    """Hold where a throttled board may have decided.

    It makes a candidate look too slow, and a baseline too: then the limit is kept too easily. A
    candidate that keeps the limit in the heat has kept it.
    """
    throttled = {"fail": latency.throttled, "pass": slow_baseline}.get(line.verdict, 0)
    if not throttled:
        return line
    whose = f"{profile} on the previous release" if line.verdict == "pass" else profile
    why = (
        f"{line.why}, but {devices(throttled)} of {whose} {was(throttled)} throttled meanwhile, "
        "so that this shows nothing: see to heat and power, stop this rollout and start another"
    )
    return line.model_copy(update={"verdict": "hold", "why": why})
