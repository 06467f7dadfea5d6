"""What was certified or refused, held to the limits that its model has today. Reads alone.

Every limit is judged from figures that a build stores, so nothing is run again for an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef

from inference_core.contract.build import Candidate, ParityCertificate, ParityLimits
from inference_core.contract.parity import find_broken_limit
from server.builds.models import Artifact, Build, ReleaseTarget
from server.builds.states import BuildState
from server.fleet.models import HardwareProfile
from server.registry.limits import Difference, differences
from server.registry.models import ModelVersion, Release, VisionModel


@dataclass(frozen=True)
class Standing:
    """A certificate beside today's limits. ``shortfall`` is the first that it fails, or empty."""

    changed: tuple[Difference, ...]
    shortfall: str

    @property
    def is_under_todays(self) -> bool:
        """Whether it was certified under just the limits of today."""
        return not self.changed

    @property
    def sentence(self) -> str:
        """For a person; empty where there is nothing to say."""
        if self.shortfall:
            return f"certified under other limits, and it fails today's: {self.shortfall}"
        return "certified under other limits; it keeps today's too" if self.changed else ""


@dataclass(frozen=True)
class LimitsWarning:
    """An artifact of a release that was certified under other limits than today's."""

    profile: str
    model: str
    artifact_sha256: str
    fails: bool
    why: str


def current_artifact(version: ModelVersion, profile: HardwareProfile) -> Artifact | None:
    """What new releases take of ``version`` on ``profile``, with all that a standing needs."""
    rows = Artifact.objects.select_related("build", "certificate", "version__model")
    return rows.filter(version=version, profile=profile, superseded_at=None).first()


def standing_of(artifact: Artifact) -> Standing:
    """``certificate`` and ``version.model`` are best loaded with the artifact."""
    today, body = artifact.version.model.limits, artifact.certificate.body
    # Sweeps ask this of many artifacts, and nearly always the limits are the same.
    changed = tuple(differences(ParityLimits.model_validate(body.get("limits", {})), today))
    return Standing(changed, _find_shortfall(body, today) if changed else "")


def failing_artifacts(model: VisionModel) -> list[tuple[Artifact, str]]:
    """What new releases would take of ``model`` and may not, with the first limit that it fails."""
    rows = Artifact.objects.filter(version__model=model, superseded_at=None)
    rows = rows.select_related("build", "profile", "certificate", "version__model").order_by("-pk")
    judged = ((row, standing_of(row).shortfall) for row in rows.defer("manifest_body"))
    return [(row, shortfall) for row, shortfall in judged if shortfall]


def worth_asking_again(model: VisionModel) -> list[Build]:
    """Builds of ``model`` that were refused, the last of their kind, and may end otherwise now."""
    later = Build.objects.filter(
        version=OuterRef("version"), profile=OuterRef("profile"), number__gt=OuterRef("number")
    )
    rows = Build.objects.filter(~Exists(later), version__model=model, state=BuildState.REFUSED)
    rows = rows.select_related("profile", "version__model").defer("log").order_by("-pk")
    return [row for row in rows if is_worth_another(row)]


def has_other_limits(build: Build) -> bool:
    """Whether the limits of its model were changed since it was queued."""
    return build.limits != build.version.model.limits


def is_worth_another(build: Build) -> bool:
    """Whether a refused build may end otherwise under today's limits, by what it measured."""
    if build.state != BuildState.REFUSED or not has_other_limits(build):
        return False
    judged = list(_judge_candidates(build))
    return not judged or any(not shortfall for _, shortfall in judged)


def explain_refusal(build: Build) -> str:
    """What a refusal means today; empty where the limits are still those that it was under."""
    if not has_other_limits(build):
        return ""
    begin = f"Build {build.pk} was refused under limits that were changed since"
    judged = list(_judge_candidates(build))
    keep = [name for name, shortfall in judged if not shortfall]
    if keep:
        return f"{begin}. By its figures {' and '.join(keep)} would keep today's: ask again."
    if judged:
        return f"{begin}, and what it tried fails today's too: {judged[0][1]}."
    return f"{begin}: ask again."


def warnings_for(release: Release, profiles: Iterable[HardwareProfile]) -> list[LimitsWarning]:
    """Of the artifacts that a release has on ``profiles``. Two queries.

    Where it is not signed yet, one that fails today's limits keeps it from being signed: that is
    missing, and no warning.
    """
    rows = Artifact.objects.filter(version__releases=release, profile__in=list(profiles))
    rows = rows.select_related("profile", "certificate", "version__model").order_by("pk")
    targets = {target.profile_id: target for target in release.targets.all()}
    found = (_warn(row, targets.get(row.profile_id)) for row in pinned(rows, targets.values()))
    return [warning for warning in found if warning]


def pinned(rows: Iterable[Artifact], targets: Iterable[ReleaseTarget]) -> list[Artifact]:
    """Of ``rows``, the oldest first: one a version and profile, that which was signed with.

    Where there is no target for a profile, that which would be signed with now.
    """
    signed_at = {target.profile_id: target.signed_at for target in targets}
    taken: dict[tuple[int, int], Artifact] = {}
    for row in rows:
        if row.is_current_at(signed_at.get(row.profile_id)):
            taken.setdefault((row.version_id, row.profile_id), row)
    return list(taken.values())


def _warn(artifact: Artifact, target: ReleaseTarget | None) -> LimitsWarning | None:
    standing = standing_of(artifact)
    if standing.is_under_todays or (standing.shortfall and target is None):
        return None
    return LimitsWarning(
        profile=artifact.profile.name,
        model=artifact.version.model.name,
        artifact_sha256=artifact.sha256,
        fails=bool(standing.shortfall),
        why=standing.sentence,
    )


def _find_shortfall(body: dict[str, Any], limits: ParityLimits) -> str:
    certificate = ParityCertificate.model_validate(body)
    name, figures = str(certificate.precision), certificate.parity
    return find_broken_limit(name, figures, certificate.latency, limits) or ""


def _judge_candidates(build: Build) -> Iterator[tuple[str, str]]:
    """Name and shortfall of every candidate; what has no figures broke, whatever the limits."""
    today = build.version.model.limits
    for one in (Candidate.model_validate(body) for body in build.candidates):
        name = str(one.precision)
        if one.parity is None or one.outcome == "failed":
            yield name, one.reason
        else:
            yield name, find_broken_limit(name, one.parity, one.latency, today) or ""
