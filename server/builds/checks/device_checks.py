"""What a device's word on golden cases is held to: every case that its lease named, and no other.

That the verdicts are true is not checked, because it cannot be: see the page on decisions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from inference_core.contract.device_check import CheckLease, LeasedSet
from inference_core.contract.golden import (
    MAX_TOLD_CASES,
    CheckedSet,
    PipelineCase,
    PipelineCertificate,
    PipelineLatency,
    PipelineOutcome,
    TruthFigures,
)
from server.builds.errors import OutcomeError
from server.datasets.models import DatasetItem

Key = tuple[str, str | None]
"""A golden set as a case names it, and the model whose pictures it shows."""


@dataclass(frozen=True)
class _Named:
    """A golden set that the pipeline can be judged by."""

    used: CheckedSet
    verdicts: dict[str, str | None] = field(repr=False)
    """By picture: as a person labelled it, where the pictures are whole frames."""

    @property
    def key(self) -> Key:
        return f"{self.used.name} {self.used.version}", self.used.model


def require_as_named(lease: CheckLease, outcome: PipelineOutcome) -> None:
    """OutcomeError where a device tells of other cases, or under other terms, than named."""
    sets = {one.key: one for one in _named_sets(lease)}
    count = _count(sets.values())
    if outcome.outcome == "failed":
        _require(0 <= outcome.cases <= count, "another number of cases was judged.")
        _require(not outcome.differing_count and not outcome.differing, "it tells what differs.")
        return
    _require(outcome.cases == count, "another number of cases was judged.")
    if outcome.outcome == "refused":
        _require_refusal(outcome, sets)
    elif outcome.certificate is not None:  # its absence is told of where every outcome is checked
        _require_certificate(lease, outcome.certificate, sets)


def _named_sets(lease: CheckLease) -> list[_Named]:
    """Without those that show what no rule speaks of: the child leaves them out as well."""
    return [
        _read(one)
        for one in lease.golden
        if one.model is None or lease.pipeline.seen_by(one.model) is not None
    ]


def _read(leased: LeasedSet) -> _Named:
    rows = DatasetItem.objects.filter(dataset__sha256=leased.sha256)
    labels = dict(rows.values_list("image", "labels"))
    is_whole = leased.model is None
    used = CheckedSet(
        name=leased.name,
        version=leased.version,
        sha256=leased.sha256,
        model=leased.model,
        images=len(labels),
        cases=min(len(labels), leased.max_cases),
    )
    return _Named(used, {k: v.get("verdict") if is_whole else None for k, v in labels.items()})


def _require_refusal(outcome: PipelineOutcome, sets: dict[Key, _Named]) -> None:
    told, count = outcome.differing, outcome.differing_count
    _require(bool(outcome.reason.strip()), "a refusal without a reason.")
    _require(0 <= count <= outcome.cases, "more cases differ than were judged.")
    _require(len(told) == min(count, MAX_TOLD_CASES), "the differing cases are not all told.")
    _require(not any(case.agrees for case in told), "a case is said to differ, and does not.")
    _require_pictures(told, sets)


def _require_certificate(
    lease: CheckLease, certificate: PipelineCertificate, sets: dict[Key, _Named]
) -> None:
    given = sorted(certificate.golden, key=repr)
    _require(
        given == sorted((one.used for one in sets.values()), key=repr),
        "its golden sets are not all that were named.",
    )
    _require_pictures(certificate.cases, sets)
    for key, one in sets.items():
        count = sum((case.golden, case.model) == key for case in certificate.cases)
        _require(count == one.used.cases, f"{key[0]} has {one.used.cases} cases, told are {count}.")
    _require(certificate.mm_per_px == lease.mm_per_px, "it was judged at another scale.")
    _require(certificate.budget_ms == lease.pipeline.budget_ms, "it names another budget.")
    _require(certificate.truth == _truth_of(certificate.cases), "its truth is not of its cases.")
    _require(certificate.models.keys() == lease.models.keys(), "its models differ.")
    for name, model in certificate.models.items():
        asked = (lease.profile.runtime, lease.models[name].precision)
        _require((model.runtime, model.precision) == asked, f"{name} ran as something else.")
    _require_latency(certificate.latency, sets)


def _require_pictures(cases: Iterable[PipelineCase], sets: dict[Key, _Named]) -> None:
    seen: set[tuple[Key, str]] = set()
    for case in cases:
        one = sets.get((case.golden, case.model))
        is_named = one is not None and case.image in one.verdicts
        _require(is_named, f"{case.golden}, {case.image} is no case of it.")
        _require(((case.golden, case.model), case.image) not in seen, f"{case.image} comes twice.")
        seen.add(((case.golden, case.model), case.image))
        labelled = one.verdicts[case.image] if one else None
        _require(case.expected == labelled, f"{case.image} is labelled otherwise.")


def _require_latency(latency: PipelineLatency | None, sets: dict[Key, _Named]) -> None:
    frames = _count(one for one in sets.values() if one.used.model is None)
    _require((latency.frames if latency else 0) == frames, "its latency is of other frames.")
    if latency is not None:
        is_sane = 0 <= latency.p50_ms <= latency.p95_ms and math.isfinite(latency.p95_ms)
        _require(is_sane, "its latency is none.")


def _truth_of(cases: Iterable[PipelineCase]) -> TruthFigures:
    labelled = [case for case in cases if case.expected is not None]
    return TruthFigures(
        labelled=len(labelled),
        reference_right=sum(case.reference == case.expected for case in labelled),
        artifact_right=sum(case.artifact == case.expected for case in labelled),
    )


def _count(sets: Iterable[_Named]) -> int:
    return sum(one.used.cases for one in sets)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise OutcomeError(otherwise)
