"""Vouches for artifacts: done where the key of the profile lies, by its builder."""

from __future__ import annotations

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.release import (
    ArtifactRef,
    TargetCustom,
    TargetRef,
    artifact_path,
    certificate_path,
)
from inference_core.contract.words import ComputeDevice
from server.builds.models import Artifact
from server.lib import clock
from server.trust.repository import TargetToSign
from server.trust.selectors import is_signed, target_blob
from server.trust.services import publish_targets


def sign_artifact(*, artifact_id: int) -> Artifact:
    """Sign an artifact with its certificate; both are served from then on. May run twice.

    Builds of other thresholds over the same weights give the same bytes. Those are signed once,
    with the certificate that was first; devices find one answer for one file.
    """
    artifact = Artifact.objects.select_related("profile", "certificate", "version").get(
        pk=artifact_id
    )
    if artifact.signed_at is None:
        if not is_signed(_artifact_path(artifact)):
            publish_targets(artifact.profile.name, [_artifact(artifact), _certificate(artifact)])
        artifact.signed_at = clock.now()
        Artifact.objects.filter(pk=artifact.pk, signed_at=None).update(signed_at=artifact.signed_at)
    return artifact


def artifact_ref(artifact: Artifact) -> ArtifactRef:
    """A signed artifact as a release pins it, true to what is signed under its path."""
    target = target_blob(_artifact_path(artifact))
    certificate = target_blob(certificate_path(artifact.profile.name, artifact.sha256))
    return ArtifactRef(
        target=TargetRef(path=target.path, sha256=target.sha256, length=target.length),
        certificate=TargetRef(
            path=certificate.path, sha256=certificate.sha256, length=certificate.length
        ),
        source_sha256=target.custom_fields.source_sha256 or artifact.version.sha256,
        runtime=artifact.runtime,
        precision=artifact.precision,
        peak_memory_bytes=artifact.peak_memory_bytes,
        manifest=ModelManifest.model_validate(artifact.manifest_body),
        compute_device=artifact.certificate.body.get("compute_device", ComputeDevice.CPU),
    )


def _artifact_path(artifact: Artifact) -> str:
    return artifact_path(artifact.profile.name, artifact.sha256)


def _artifact(artifact: Artifact) -> TargetToSign:
    custom = TargetCustom(
        kind="artifact",
        profile=artifact.profile.name,
        source_sha256=artifact.version.sha256,
        certificate_sha256=artifact.certificate.sha256,
        runtime=artifact.runtime,
        runtime_version=artifact.runtime_version,
        peak_memory_bytes=artifact.peak_memory_bytes,
    )
    return TargetToSign(_artifact_path(artifact), artifact.sha256, artifact.length, custom)


def _certificate(artifact: Artifact) -> TargetToSign:
    row = artifact.certificate
    path = certificate_path(artifact.profile.name, artifact.sha256)
    custom = TargetCustom(
        kind="certificate",
        profile=artifact.profile.name,
        source_sha256=artifact.version.sha256,
    )
    return TargetToSign(path, row.sha256, row.length, custom)
