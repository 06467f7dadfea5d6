"""What came of a check: a certificate, a refusal with its cases, or another try."""

from __future__ import annotations

import contextlib
import hashlib

from django.db import transaction

from inference_core.contract.golden import PipelineCertificate, PipelineJob, PipelineOutcome
from server.accounts.actors import SYSTEM
from server.builds.checks.leases import close_check, lock_check, return_check
from server.builds.checks.states import CheckState
from server.builds.models import PipelineCheck
from server.lib import blobs
from server.lib.states import StaleState

MAX_REASON = 4000


class CheckOutcomeError(Exception):
    """What the child delivered is not what it says; the sentence says where."""


def record_check(
    *, check: PipelineCheck, owner: str, job: PipelineJob, outcome: PipelineOutcome
) -> None:
    """End the check as its child says.

    Raises CheckOutcomeError where the certificate is of other things than ``job`` asked for,
    Conflict where the lease is lost.
    """
    if outcome.outcome == "succeeded":
        _record_success(check, owner, _examine(job, outcome), outcome)
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
        )


def give_up_check(*, check: PipelineCheck, owner: str, why: str, is_final: bool) -> None:
    """End an attempt that brought no outcome: for good, or to be tried again."""
    with transaction.atomic():
        lock_check(check, owner)
        if is_final:
            close_check(check, CheckState.FAILED, owner, why[:MAX_REASON])
        else:
            return_check(check, why[:MAX_REASON], actor=owner)


def fail_unrunnable(*, check: PipelineCheck, problem: str) -> None:
    """End a queued check that nobody can run: devices build for its profile, and do not judge."""
    why = (
        f"Devices build for {check.profile}, and this server has no such hardware to judge on: "
        f"{problem}. Judge on a builder that is one, or let a releaser answer for the release."
    )
    with contextlib.suppress(StaleState), transaction.atomic():
        close_check(check, CheckState.FAILED, SYSTEM, why[:MAX_REASON])


def _record_success(
    check: PipelineCheck, owner: str, certificate: PipelineCertificate, outcome: PipelineOutcome
) -> None:
    blob = blobs.put_bytes(certificate.to_json())
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
        )


def _examine(job: PipelineJob, outcome: PipelineOutcome) -> PipelineCertificate:
    """The certificate must be of this very request: the child has run foreign code's weights."""
    certificate = outcome.certificate
    if certificate is None:
        raise CheckOutcomeError("the child says succeeded, but delivers no certificate.")
    if not certificate.cases or not all(case.agrees for case in certificate.cases):
        raise CheckOutcomeError("the certificate has no cases, or some that differ.")
    asked, given = _asked(job), _given(certificate)
    for name, value in asked.items():
        if given[name] != value:
            raise CheckOutcomeError(f"the certificate is for another check: its {name} differs.")
    if not _sets(certificate) <= {(one.sha256, one.model) for one in job.golden}:
        raise CheckOutcomeError("the certificate is for another check: its golden set differs.")
    return certificate


def _asked(job: PipelineJob) -> dict[str, object]:
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
