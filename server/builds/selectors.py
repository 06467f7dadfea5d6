"""Reads of builds, and what stands between a release and a device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet

from inference_core.contract.build import ParityLimits
from inference_core.contract.release import artifact_path, release_path
from server.builds.checks.selectors import describe_check, newest_check
from server.builds.models import Artifact, Build, Builder, ReleaseTarget
from server.builds.standing import current_artifact, standing_of
from server.builds.states import BUILD, BuildState
from server.fleet.models import Device, HardwareProfile
from server.lib import clock
from server.lib.errors import NotFound
from server.registry.models import Release
from server.trust.selectors import withdrawn_paths
from server.trust.waiting import why_unsigned

NOT_YET_SIGNED = "not yet signed"
WAITS_FOR_APPROVAL = "waits for approval"
WAITS_FOR_DEVICE = "waits for a device that builds it"
BUILDER_FRESH = timedelta(seconds=45)
"""Builders say every ten seconds that they live."""


@dataclass(frozen=True)
class MissingArtifact:
    """Why a device cannot run a release. ``model`` is empty where the release itself lacks."""

    device: Device
    profile: str
    model: str
    why: str


@dataclass(frozen=True)
class MatrixCell:
    """How far one version is for one profile; ``build`` is None where none was ever asked for."""

    version_id: int
    profile: str
    build: Build | None
    artifact: Artifact | None
    is_built_on_device: bool = False
    unserved: str = ""
    """Where no builder serves the profile's queue: a sentence that says so, and what to do."""

    @property
    def state(self) -> str:
        """The build's state in a word; ``signed`` is what a rollout needs."""
        if self.artifact is not None:
            return "signed" if self.artifact.signed_at else "succeeded"
        return str(self.build.state) if self.build else "never built"

    @property
    def why(self) -> str:
        """What is missing, as words that end a sentence; empty where nothing is."""
        if self.artifact is not None:
            if self.artifact.waits_for_approval:
                return WAITS_FOR_APPROVAL
            return "" if self.artifact.signed_at else _with(NOT_YET_SIGNED, self.unserved)
        if self.build is None:
            return "never built"
        if self.build.state == BuildState.QUEUED and self.is_built_on_device:
            return WAITS_FOR_DEVICE
        reason = self.build.reason or "for a reason that was not told"
        ended = {
            str(BuildState.REFUSED): f"refused: {reason}",
            str(BuildState.FAILED): f"failed: {reason}",
            # Its artifact is gone: a person has rejected it.
            str(BuildState.SUCCEEDED): reason,
        }
        if self.build.state == BuildState.QUEUED and self.unserved:
            return self.unserved
        return ended.get(self.build.state, "building")


def _with(words: str, more: str) -> str:
    return f"{words}: {more}" if more else words


def builders() -> QuerySet[Builder]:
    """Workers that took builds lately, with the queues they serve."""
    return Builder.objects.select_related("profile").order_by("profile__name", "name")


def unserved_queues(profiles: Iterable[HardwareProfile]) -> dict[str, str]:
    """For every profile whose queue no builder serves now: what to say and do. One query.

    Where devices build for themselves there is no such queue.
    """
    wanted = {p.pk: p.name for p in profiles if not p.is_built_on_device}
    fresh = clock.now() - BUILDER_FRESH
    served, foreign = set(), {}
    for builder in Builder.objects.filter(profile__in=wanted, seen_at__gte=fresh):
        if builder.problem:
            foreign[builder.profile_id] = f"{builder.name} cannot: {builder.problem}; "
        else:
            served.add(builder.profile_id)
    return {
        name: f"no builder serves the queue of profile {name}: {foreign.get(pk, '')}"
        f"start one on such hardware with: python -m server build-worker --profile {name}"
        for pk, name in wanted.items()
        if pk not in served
    }


def is_live(builder: Builder) -> bool:
    """Whether it was heard of lately, and can build."""
    return not builder.problem and builder.seen_at >= clock.now() - BUILDER_FRESH


def unserved_because(build: Build) -> str:
    """Why a build waits for nobody; empty where a builder serves its queue, or it does not wait."""
    if build.state != BuildState.QUEUED:
        return ""
    return unserved_queues([build.profile]).get(build.profile.name, "")


def is_repeatable(build: Build) -> bool:
    """Whether another one may be asked for: it is the last of its kind, and there is nothing.

    An artifact that fails the limits of today is nothing to take for a new release.
    """
    if build.state not in BUILD.terminal:
        return False
    made = current_artifact(build.version, build.profile)
    if made is not None and not standing_of(made).shortfall:
        return False
    later = Build.objects.filter(
        version=build.version, profile=build.profile, number__gt=build.number
    )
    return not later.exists()


def builds() -> QuerySet[Build]:
    """All builds with what a list shows of them."""
    return Build.objects.select_related("version__model", "profile").defer("log", "candidates")


def build(build_id: int) -> Build:
    """One build with its artifact and certificate; NotFound where there is none."""
    row = (
        Build.objects.select_related(
            "version__model",
            "profile",
            "cached_from",
            "artifact",
            "artifact__certificate",
            "artifact__device",
            "artifact__version__model",
        )
        .filter(pk=build_id)
        .first()
    )
    if row is None:
        raise NotFound("There is no such build.")
    return row


def limits_of(build: Build) -> ParityLimits:
    """What a candidate must keep; what a device certifies is held to the same."""
    return build.limits


def release_target(release: Release, profile: HardwareProfile) -> ReleaseTarget | None:
    """The release as signed for ``profile``, or None while it is not."""
    return ReleaseTarget.objects.filter(release=release, profile=profile).first()


def artifact_matrix(
    model_version_ids: Iterable[int], profiles: Iterable[HardwareProfile]
) -> dict[tuple[int, str], MatrixCell]:
    """A cell for every version and profile, by (version id, profile name). Three queries."""
    versions, named = list(model_version_ids), {p.pk: p for p in profiles}
    unserved = unserved_queues(list(named.values()))
    newest: dict[tuple[int, int], Build] = {}
    wanted = Build.objects.filter(version__in=versions, profile__in=named)
    for row in wanted.defer("log", "candidates").order_by("pk"):
        newest[row.version_id, row.profile_id] = row
    made = {
        (row.version_id, row.profile_id): row
        for row in Artifact.objects.filter(
            version__in=versions, profile__in=named, superseded_at=None
        )
        .select_related("certificate", "version__model")
        .defer("manifest_body")
    }
    return {
        (version, profile.name): MatrixCell(
            version,
            profile.name,
            newest.get((version, pk)),
            made.get((version, pk)),
            profile.is_built_on_device,
            unserved.get(profile.name, ""),
        )
        for version in versions
        for pk, profile in named.items()
    }


def missing_artifacts(release: Release, devices: Iterable[Device]) -> list[MissingArtifact]:
    """What keeps ``devices`` from running ``release``; empty when all could at once.

    The number of queries does not depend on the number of devices.
    """
    wanted = list(devices)
    misfits = [
        MissingArtifact(
            device, device.profile.name, "", f"its profile no longer fits: {device.misfit}"
        )
        for device in wanted
        if device.misfit
    ]
    profiles = {device.profile_id: device.profile for device in wanted}
    whys = {pk: _missing_for(release, profile) for pk, profile in profiles.items()}
    return misfits + [
        MissingArtifact(device, device.profile.name, model, why)
        for device in wanted
        if not device.misfit
        for model, why in whys[device.profile_id]
    ]


def _missing_for(release: Release, profile: HardwareProfile) -> Sequence[tuple[str, str]]:
    """Pairs of model and reason."""
    path = release_path(profile.name, release.name)
    why = why_unsigned(profile.name, path)
    if why or release_target(release, profile) is not None:
        return (("", why),) if why else ()
    versions = {v.pk: v.model.name for v in release.versions.select_related("model")}
    cells = artifact_matrix(versions, [profile])
    missing = [(versions[pk], why) for (pk, _), cell in cells.items() if (why := _why(cell))]
    if missing:
        return missing
    unserved = unserved_queues([profile]).get(profile.name, "")
    return (("", _with(describe_check(newest_check(release, profile)), unserved)),)


def _why(cell: MatrixCell) -> str:
    if cell.artifact is None:
        return cell.why
    if fails := standing_of(cell.artifact).shortfall:
        return f"{fails}. {_what_next(cell)}"
    if cell.why:
        return cell.why
    return why_unsigned(cell.profile, artifact_path(cell.profile, cell.artifact.sha256))


def _what_next(cell: MatrixCell) -> str:
    """Where what there is fails the limits of today."""
    if cell.build is not None and cell.build.state in BUILD.open:
        return f"It was certified under other limits; build {cell.build.pk} is on its way"
    return "It was certified under other limits: build it again, or an admin changes the limits"


def unsigned_artifacts() -> QuerySet[Artifact]:
    """Artifacts that nobody has signed yet, and nobody need approve first."""
    waiting = Artifact.objects.exclude(needs_approval=True, approved_at=None)
    return waiting.filter(signed_at=None, superseded_at=None).select_related("profile")


def signable(release: Release, profile: HardwareProfile) -> dict[str, Artifact] | None:
    """The signed artifact of every model of ``release`` by name, or None while one is absent.

    One that fails the limits that its model has today is as good as absent: nothing new is
    signed with it.
    """
    artifacts = {
        artifact.version.model.name: artifact
        for artifact in Artifact.objects.filter(
            profile=profile,
            version__releases=release,
            signed_at__isnull=False,
            superseded_at=None,
        ).select_related("version__model__golden", "certificate")
    }
    paths = [artifact_path(profile.name, artifact.sha256) for artifact in artifacts.values()]
    is_complete = release.pipeline.models == set(artifacts) and not withdrawn_paths(paths)
    if not is_complete or any(standing_of(one).shortfall for one in artifacts.values()):
        return None
    return artifacts
