"""Releases as each profile must run them, signed by the key of that profile."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import IntegrityError

from inference_core.contract.release import (
    MAX_RELEASE_BYTES,
    ReleaseManifest,
    TargetCustom,
    artifact_path,
    pipeline_certificate_path,
    release_path,
)
from server.accounts.actors import SYSTEM
from server.builds import dispatch
from server.builds.checks.queueing import queue_check, send_check
from server.builds.checks.selectors import (
    describe_check,
    newest_check,
    predates,
    refused_releases,
)
from server.builds.checks.states import SIGNABLE, CheckState
from server.builds.models import Artifact, PipelineCheck, ReleaseTarget
from server.builds.selectors import release_target, signable, unsigned_artifacts
from server.builds.services.artifacts import artifact_ref
from server.fleet.models import HardwareProfile
from server.fleet.selectors import profiles_in_use
from server.lib import blobs, clock
from server.lib.errors import Conflict, Invalid
from server.registry.models import Release
from server.trust.repository import TargetToSign
from server.trust.selectors import withdrawn_paths
from server.trust.services import publish_targets
from server.trust.waiting import profiles_to_renew, waiting_paths, waiting_profiles

SIGN_ARTIFACT = "server.builds.tasks.sign_artifact"
MAX_WAITING = 50
"""Releases of a profile that one sweep looks at, the newest: old ones may never be signable."""
RENEW_PROFILE = "server.builds.tasks.renew_profile"
SIGN_RELEASE = "server.builds.tasks.sign_release"


def sign_waiting_releases() -> int:
    """Ask the builders to judge and sign what they have not yet; how many messages were sent.

    What waits for the signature of a person is asked for once it has come.
    """
    sent, waiting = 0, waiting_profiles()
    for artifact in _not_withdrawn(unsigned_artifacts().exclude(profile__name__in=waiting)):
        queue = dispatch.signing_queue_of(artifact.profile)
        sent += dispatch.send_once(SIGN_ARTIFACT, artifact.pk, queue=queue)
    for profile in profiles_in_use().exclude(name__in=waiting):
        unsigned = Release.objects.exclude(targets__profile=profile).exclude(
            pk__in=refused_releases(profile).values("release")
        )
        newest = unsigned.order_by("-counter")[:MAX_WAITING]
        for release in _not_waiting(newest, profile):
            artifacts = signable(release, profile)
            if artifacts is not None:
                sent += _advance(release, profile, artifacts)
    return sent


def _advance(release: Release, profile: HardwareProfile, artifacts: dict[str, Artifact]) -> int:
    """Have it judged by its golden cases first, and signed when that is done."""
    check = newest_check(release, profile)
    is_old = check is not None and check.state in SIGNABLE and predates(check, artifacts.values())
    if check is None or is_old:
        # Its message goes out with the row; the next sweep would send it again.
        queue_check(release=release, profile=profile, actor=SYSTEM)
        return 1
    if check.state == CheckState.QUEUED:
        return int(send_check(check))
    if check.may_be_signed:
        queue = dispatch.signing_queue_of(profile)
        return int(dispatch.send_once(SIGN_RELEASE, release.pk, profile.pk, queue=queue))
    return 0


def ask_builders_to_renew() -> int:
    """Ask builders to sign anew what their key alone can sign; how many messages were sent."""
    profiles = HardwareProfile.objects.filter(name__in=profiles_to_renew())
    return sum(
        dispatch.send_once(RENEW_PROFILE, profile.pk, queue=dispatch.signing_queue_of(profile))
        for profile in profiles
    )


def _not_withdrawn(artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Another version may have given the very bytes that nobody vouches for any more."""
    found = [(artifact_path(each.profile.name, each.sha256), each) for each in artifacts]
    withdrawn = withdrawn_paths(path for path, _ in found)
    return [artifact for path, artifact in found if path not in withdrawn]


def _not_waiting(releases: Iterable[Release], profile: HardwareProfile) -> list[Release]:
    """People are asked once: a release that waits for a second signature is left alone."""
    paths = {release_path(profile.name, release.name): release for release in releases}
    waiting = waiting_paths(paths)
    return [release for path, release in paths.items() if path not in waiting]


def sign_release(*, release_id: int, profile_id: int) -> ReleaseTarget:
    """Sign a release with its PipelineCertificate. May run twice: the same rows, the same bytes.

    Raises Conflict while an artifact is not signed yet, and where the golden cases were not
    judged on the profile, or not as by the reference, or nobody has approved what a device says
    of them. Where a person answers for it instead, there is no certificate.
    """
    release = Release.objects.get(pk=release_id)
    profile = HardwareProfile.objects.get(pk=profile_id)
    known = release_target(release, profile)
    if known is not None:
        return known
    # Before the look: what takes an artifact's place while this signs is not what it signs with.
    signed_at = clock.now()
    artifacts = signable(release, profile)
    if artifacts is None:
        raise Conflict(
            f"{release} cannot be signed for {profile}: an artifact is not signed yet, or fails "
            "the limits that its model has today."
        )
    check = newest_check(release, profile)
    if check is None or not check.may_be_signed:
        raise Conflict(f"{release} cannot be signed for {profile}: {_describe(check)}.")
    if predates(check, artifacts.values()):
        raise Conflict(f"{release} cannot be signed for {profile}: it was judged with others.")
    target = _publish(release, profile, artifacts, check)
    try:
        return ReleaseTarget.objects.create(
            release=release,
            profile=profile,
            path=target.path,
            sha256=target.sha256,
            length=target.length,
            signed_at=signed_at,
        )
    except IntegrityError:
        return ReleaseTarget.objects.get(release=release, profile=profile)


def _describe(check: PipelineCheck | None) -> str:
    return describe_check(check) if check else "its golden cases were not judged yet"


def _publish(
    release: Release,
    profile: HardwareProfile,
    artifacts: dict[str, Artifact],
    check: PipelineCheck,
) -> TargetToSign:
    body = _manifest(release, profile, artifacts).to_json()
    if len(body) > MAX_RELEASE_BYTES:
        raise Invalid(f"{release} is larger than the {MAX_RELEASE_BYTES} bytes that devices take.")
    blob = blobs.put_bytes(body)
    custom = TargetCustom(
        kind="release",
        profile=profile.name,
        counter=release.counter,
        peak_memory_bytes=sum(artifact.peak_memory_bytes for artifact in artifacts.values()),
        pipeline_certificate_sha256=check.certificate_sha256 or None,
    )
    target = TargetToSign(
        release_path(profile.name, release.name), blob.sha256, blob.length, custom
    )
    publish_targets(profile.name, [target, *_certificate(release, profile, check)])
    return target


def _certificate(
    release: Release, profile: HardwareProfile, check: PipelineCheck
) -> list[TargetToSign]:
    """None where a person answers for the release."""
    if not check.certificate_sha256:
        return []
    custom = TargetCustom(kind="certificate", profile=profile.name, counter=release.counter)
    path = pipeline_certificate_path(profile.name, release.name)
    return [TargetToSign(path, check.certificate_sha256, check.certificate_length, custom)]


def _manifest(
    release: Release, profile: HardwareProfile, artifacts: dict[str, Artifact]
) -> ReleaseManifest:
    return ReleaseManifest(
        release=release.name,
        counter=release.counter,
        profile=profile.name,
        pipeline=release.pipeline,
        artifacts={model: artifact_ref(artifact) for model, artifact in sorted(artifacts.items())},
    )
