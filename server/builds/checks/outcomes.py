"""What came of a check: a certificate, a refusal with its cases, or another try."""

from __future__ import annotations

import hashlib

from django.db import transaction

from inference_core.contract.device_check import CheckLease
from inference_core.contract.golden import PipelineCertificate, PipelineJob, PipelineOutcome
from server.builds.checks.leases import close_check, lock_check, return_check
from server.builds.checks.selectors import was_refused_before
from server.builds.checks.states import CheckState
from server.builds.errors import OutcomeError
from server.builds.models import PipelineCheck
from server.fleet.models import Device
from server.lib import blobs

MAX_REASON = 4000


def record_check(
    *,
    check: PipelineCheck,
    owner: str,
    job: PipelineJob | CheckLease,
    outcome: PipelineOutcome,
    device: Device | None = None,
) -> None:
    """End the check as its child says, or the device whose child it was.

    Raises OutcomeError where the certificate is of other things than ``job`` asked for,
    Conflict where the lease is lost.
    """
    if outcome.outcome == "succeeded":
        _record_success(check, owner, _examine(job, outcome), outcome, device)
        return
    state = CheckState.REFUSED if outcome.outcome == "refused" else CheckState.FAILED
    with transaction.atomic():
        lock_check(check, owner)
        close_check(
            check,
            state,
            owner,
            outcome.reason[:MAX_REASON],
            cases=outcome.cases,
            differing_count=outcome.differing_count,
            differing=[case.model_dump(mode="json") for case in outcome.differing],
            device=device,
        )


def give_up_check(*, check: PipelineCheck, owner: str, why: str, is_final: bool) -> None:
    """End an attempt that brought no outcome: for good, or to be tried again."""
    with transaction.atomic():
        lock_check(check, owner)
        if is_final:
            close_check(check, CheckState.FAILED, owner, why[:MAX_REASON])
        else:
            return_check(check, why[:MAX_REASON], actor=owner)


def _record_success(
    check: PipelineCheck,
    owner: str,
    certificate: PipelineCertificate,
    outcome: PipelineOutcome,
    device: Device | None,
) -> None:
    blob = blobs.put_bytes(certificate.to_json())
    # Two that contradict each other are never settled by machines alone.
    is_doubted = was_refused_before(check)
    with transaction.atomic():
        lock_check(check, owner)
        close_check(
            check,
            CheckState.SUCCEEDED,
            owner,
            outcome.reason[:MAX_REASON],
            cases=len(certificate.cases),
            share=1.0,
            certificate=certificate.model_dump(mode="json"),
            certificate_sha256=blob.sha256,
            certificate_length=blob.length,
            device=device,
            needs_approval=is_doubted or (device is not None and check.profile.needs_approval),
        )


def _examine(job: PipelineJob | CheckLease, outcome: PipelineOutcome) -> PipelineCertificate:
    """The certificate must be of this very request: the child has run foreign code's weights."""
    certificate = outcome.certificate
    if certificate is None:
        raise OutcomeError("the child says succeeded, but delivers no certificate.")
    if not certificate.cases or not all(case.agrees for case in certificate.cases):
        raise OutcomeError("the certificate has no cases, or some that differ.")
    asked, given = _asked(job), _given(certificate)
    for name, value in asked.items():
        if given[name] != value:
            raise OutcomeError(f"the certificate is for another check: its {name} differs.")
    if not _sets(certificate) <= {(one.sha256, one.model) for one in job.golden}:
        raise OutcomeError("the certificate is for another check: its golden set differs.")
    return certificate


def _asked(job: PipelineJob | CheckLease) -> dict[str, object]:
    return {
        "release": (job.release, job.counter),
        "profile": job.profile.name,
        "pipeline": hashlib.sha256(job.pipeline.to_json()).hexdigest(),
        "models": {
            name: (
                model.source_sha256,
                model.artifact_sha256,
                hashlib.sha256(model.artifact_manifest.to_json()).hexdigest(),
            )
            for name, model in job.models.items()
        },
    }


def _given(certificate: PipelineCertificate) -> dict[str, object]:
    return {
        "release": (certificate.release, certificate.counter),
        "profile": certificate.profile,
        "pipeline": certificate.pipeline_sha256,
        "models": {
            name: (model.source_sha256, model.artifact_sha256, model.manifest_sha256)
            for name, model in certificate.models.items()
        },
    }


def _sets(certificate: PipelineCertificate) -> set[tuple[str, str | None]]:
    return {(one.sha256, one.model) for one in certificate.golden}
