"""Builds with the same key: one works, the others take what it made."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from inference_core.contract.build import ParityCertificate
from inference_core.contract.recipe import BuildRecipe, key_of
from server.builds.errors import OutcomeError
from server.builds.models import Artifact, Build, Certificate
from server.builds.services.outcomes import (
    check_certificate,
    close_build,
    lock_lease,
    supersede_artifact,
)
from server.builds.services.queueing import wake_waiting
from server.builds.states import BUILD, BuildState
from server.lib import clock
from server.lib.states import move


def settle_key(*, build: Build, owner: str, recipe: BuildRecipe) -> bool:
    """Note what a leased build depends on. True: nobody has its outcome, so work on it.

    False: it has its end, taken from the build with the same key, or waits for the one that is
    worked on. Raises OutcomeError for a recipe of another request, Conflict for a lost lease.
    """
    _check(build, recipe)
    key, body = key_of(recipe), recipe.model_dump(mode="json", exclude_none=True)
    known: dict[str, Any] = {"key": key, "recipe": body}
    with transaction.atomic():
        lock_lease(build, owner)
        if _reuse(build, owner, known):
            return False
    try:
        with transaction.atomic():
            lock_lease(build, owner)
            Build.objects.filter(pk=build.pk).update(**known)
    except IntegrityError:
        _wait(build, owner, known)
        return False
    build.key, build.recipe = key, body
    return True


def _check(build: Build, recipe: BuildRecipe) -> None:
    """The key decides whose artifact is used, so it must be of this very request."""
    version, spec = build.version, build.profile.spec
    wanted = {
        "source_sha256": version.sha256,
        "manifest_sha256": version.manifest_sha256,
        "golden_sha256": version.model.golden.sha256,
        "calibration_sha256": version.model.calibration.sha256,
        "profile": spec.model_dump(mode="json", exclude_none=True),
        # Without them a certificate under laxer limits would be taken for one under these.
        "limits": build.limits.model_dump(mode="json", exclude_none=True),
    }
    for name, value in wanted.items():
        if recipe.asked.get(name) != value:
            raise OutcomeError(f"the key is for another build: its {name} differs.")


def _reuse(build: Build, owner: str, known: dict[str, Any]) -> bool:
    """End ``build`` as the one with the same key ended, where it can be."""
    twins = Build.objects.filter(key=known["key"], cached_from=None).exclude(pk=build.pk)
    made = twins.filter(state=BuildState.SUCCEEDED, artifact__isnull=False)
    if twin := made.select_related("artifact__certificate").first():
        why = f"Taken from build {twin.pk}: the same model, sets, limits and tools made it there."
        shared = {**known, "cached_from": twin, "candidates": twin.candidates}
        close_build(build, BuildState.SUCCEEDED, owner, why, **shared)
        _copy_artifact(twin.artifact, build)
        return True
    twin = None if build.is_again else twins.filter(state=BuildState.REFUSED).first()
    if twin is None:
        return False
    why = f"As build {twin.pk} of the same model, sets, limits and tools: {twin.reason}"
    shared = {**known, "cached_from": twin, "candidates": twin.candidates}
    close_build(build, BuildState.REFUSED, owner, why, **shared)
    return True


def _copy_artifact(made: Artifact, build: Build) -> None:
    """The same bytes and the same certificate: it names digests and a profile, no version."""
    certificate = made.certificate
    check_certificate(build, ParityCertificate.model_validate(certificate.body))
    supersede_artifact(build)
    row = Artifact.objects.create(
        build=build,
        version=build.version,
        profile=build.profile,
        sha256=made.sha256,
        length=made.length,
        runtime=made.runtime,
        runtime_version=made.runtime_version,
        precision=made.precision,
        peak_memory_bytes=made.peak_memory_bytes,
        manifest_body=made.manifest_body,
        created_at=clock.now(),
        # What a device built is approved by a person for each version that it is used for.
        device=made.device,
        needs_approval=made.needs_approval,
    )
    Certificate.objects.create(
        artifact=row,
        sha256=certificate.sha256,
        length=certificate.length,
        body=certificate.body,
    )


def _wait(build: Build, owner: str, known: dict[str, Any]) -> None:
    """Back to the queue: whoever has the key sends for it when it ends. It costs no attempt."""
    holders = Build.objects.filter(key=known["key"], cached_from=None).exclude(pk=build.pk)
    holder = holders.filter(state__in=[BuildState.LEASED, BuildState.SUCCEEDED]).first()
    why = f"Build {holder.pk if holder else 'of another version'} is made of the same; this waits."
    with transaction.atomic():
        lock_lease(build, owner)
        move(
            BUILD,
            build,
            BuildState.QUEUED,
            actor=owner,
            reason=why,
            attempts=build.attempts - 1,
            queued_at=clock.now(),
            lease_owner="",
            lease_expires_at=None,
            **known,
        )
    if holder is None or holder.state != BuildState.LEASED:
        wake_waiting(known["key"])  # it has ended between the two looks
