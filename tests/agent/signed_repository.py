"""A TUF repository with real signatures, and releases whose model misbehaves on demand."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from inference_core.contract.build import (
    LatencyFigures,
    ParityCertificate,
    ParityFigures,
    ParityLimits,
)
from inference_core.contract.decoders import SegmentDecoder
from inference_core.contract.device import AgentRef
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.pipeline import PipelineSpec, Rule, Stage
from inference_core.contract.release import (
    AGENT_ROLE,
    ANY_PROFILE,
    ArtifactRef,
    ReleaseManifest,
    TargetCustom,
    TargetRef,
    agent_path,
    artifact_path,
    certificate_path,
    profile_role,
    release_path,
)
from inference_core.contract.words import Precision, RuntimeName, Task

_SOURCE = hashlib.sha256(b"the reference model").hexdigest()
_MANIFEST = ModelManifest(
    task=Task.SEGMENTATION,
    inputs=(TensorSpec(name="image", shape=(1, 3, 8, 8)),),
    outputs=(TensorSpec(name="scores", shape=(1, 2, 8, 8)),),
    decoder=SegmentDecoder(output="scores", labels=("background", "scratch")),
    licence="CC0-1.0",
)
_PIPELINE = PipelineSpec(
    pipeline="surface",
    stages=(Stage(id="defects", model="defects"),),
    rules=(Rule(fail="defects.count() > 0", because="a defect was seen"),),
    budget_ms=1000,
)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class SignedRepository:
    """``files`` is what the server hands out, by path below ``/tuf``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.lifetime = timedelta(days=1)
        names = (Root.type, Timestamp.type, Snapshot.type, Targets.type)
        self._signers = {name: [CryptoSigner.generate_ed25519()] for name in names}
        self._versions: dict[str, int] = {}
        self._targets: dict[str, dict[str, TargetFile]] = {}
        self.initial_root = self.rotate_root()

    def add_release(
        self,
        name: str,
        *,
        profile: str,
        counter: int,
        behaviour: dict[str, Any] | None = None,
        custom: dict[str, Any] | None = None,
        padding: int = 0,
    ) -> TargetRef:
        """Sign a release; ``custom`` overrides the signed fields of the release target."""
        artifact = json.dumps({"metadata": {"of": name, "pad": "x" * padding}, **(behaviour or {})})
        pinned = self._add_artifact(artifact.encode(), profile)
        manifest = ReleaseManifest(
            release=name,
            counter=counter,
            profile=profile,
            pipeline=_PIPELINE,
            artifacts={"defects": pinned},
        )
        fields = {"kind": "release", "profile": profile, "counter": counter} | (custom or {})
        ref = self._add(profile, release_path(profile, name), manifest.to_json(), fields)
        self.publish()
        return ref

    def add_artifact(self, content: bytes, *, profile: str, **custom: Any) -> TargetRef:
        """Sign an artifact that belongs to no release yet; ``custom`` are its signed fields."""
        fields = {"kind": "artifact", "profile": profile} | custom
        ref = self._add(profile, artifact_path(profile, digest(content)), content, fields)
        self.publish()
        return ref

    def add_agent(
        self, wheel: bytes, *, version: str, counter: int, custom: dict[str, Any] | None = None
    ) -> AgentRef:
        """Sign a wheel of the agent; ``custom`` overrides its signed fields."""
        fields = {"kind": "agent", "profile": ANY_PROFILE, "counter": counter} | (custom or {})
        ref = self._add(AGENT_ROLE, agent_path(version), wheel, fields)
        self.publish()
        return AgentRef(target=ref, version=version)

    def publish(self) -> None:
        """Sign everything anew, under the next versions."""
        delegations = Delegations(keys={}, roles={})
        top = Targets(expires=self._expiry(), delegations=delegations)
        for profile in self._targets:
            self._delegate(top, profile)
            targets = Targets(targets=dict(self._targets[profile]), expires=self._expiry())
            self._write(_role_of(profile), targets)
        self._write(Targets.type, top)
        roles = [Targets.type, *map(_role_of, self._targets)]
        meta = {f"{role}.json": MetaFile(self._versions[role]) for role in roles}
        self._write(Snapshot.type, Snapshot(meta=meta, expires=self._expiry()))
        snapshot = MetaFile(self._versions[Snapshot.type])
        self._write(Timestamp.type, Timestamp(snapshot_meta=snapshot, expires=self._expiry()))

    def rotate_root(self) -> bytes:
        """Replace the root key; signed by the old and the new one."""
        old = self._signers[Root.type] if self._versions else []
        new = [CryptoSigner.generate_ed25519()]
        self._signers[Root.type] = new
        root = Root(expires=self._expiry(), consistent_snapshot=True)
        for role, signers in self._signers.items():
            if role in root.roles:
                root.add_key(signers[0].public_key, role)
        return self._write(Root.type, root, [*old, *new])

    def lose_keys(self, role: str) -> None:
        """Whoever signs ``role`` from now on is not whom the root trusts."""
        self._signers[role] = [CryptoSigner.generate_ed25519()]

    def target_file(self, ref: TargetRef) -> str:
        """Path of a target's bytes under consistent snapshots."""
        folder, _, name = ref.path.rpartition("/")
        return f"targets/{folder}/{ref.sha256}.{name}"

    def artifact_of(self, release: TargetRef) -> TargetRef:
        """The only artifact of a release."""
        content = self.files[self.target_file(release)]
        return ReleaseManifest.model_validate_json(content).artifacts["defects"].target

    def _add_artifact(self, content: bytes, profile: str) -> ArtifactRef:
        sha256 = digest(content)
        certificate = _certificate(sha256, profile).to_json()
        fields = {
            "kind": "artifact",
            "profile": profile,
            "source_sha256": _SOURCE,
            "certificate_sha256": digest(certificate),
            "runtime": "fake",
        }
        target = self._add(profile, artifact_path(profile, sha256), content, fields)
        pinned_by = self._add(
            profile,
            certificate_path(profile, sha256),
            certificate,
            {"kind": "certificate", "profile": profile},
        )
        return ArtifactRef(
            target=target,
            certificate=pinned_by,
            source_sha256=_SOURCE,
            runtime=RuntimeName.FAKE,
            precision=Precision.FP32,
            peak_memory_bytes=0,
            manifest=_MANIFEST,
        )

    def _add(self, profile: str, path: str, content: bytes, fields: dict[str, Any]) -> TargetRef:
        custom = TargetCustom.model_validate(fields).model_dump(mode="json", exclude_none=True)
        ref = TargetRef(path=path, sha256=digest(content), length=len(content))
        self._targets.setdefault(path.partition("/")[0], {})[path] = TargetFile(
            len(content), {"sha256": ref.sha256}, path, {"custom": custom}
        )
        self.files[self.target_file(ref)] = content
        return ref

    def _delegate(self, top: Targets, profile: str) -> None:
        role = _role_of(profile)
        signer = self._signers.setdefault(role, [CryptoSigner.generate_ed25519()])[0]
        assert top.delegations
        assert top.delegations.roles is not None
        top.delegations.roles[role] = DelegatedRole(role, [], 1, True, paths=[f"{profile}/*/*"])
        top.add_key(signer.public_key, role)

    def _write(self, role: str, signed: Any, signers: list[CryptoSigner] | None = None) -> bytes:
        self._versions[role] = signed.version = self._versions.get(role, 0) + 1
        metadata = Metadata(signed)
        for signer in signers or self._signers[role]:
            metadata.sign(signer, append=True)
        content = metadata.to_bytes()
        version = "" if role == Timestamp.type else f"{signed.version}."
        self.files[f"metadata/{version}{role}.json"] = content
        return content

    def _expiry(self) -> datetime:
        return (datetime.now(timezone.utc) + self.lifetime).replace(microsecond=0)


def _role_of(folder: str) -> str:
    return AGENT_ROLE if folder == AGENT_ROLE else profile_role(folder)


def _certificate(artifact_sha256: str, profile: str) -> ParityCertificate:
    return ParityCertificate(
        source_sha256=_SOURCE,
        manifest_sha256=digest(_MANIFEST.to_json()),
        artifact_sha256=artifact_sha256,
        golden_sha256=digest(b"golden"),
        calibration_sha256=digest(b"calibration"),
        profile=profile,
        runtime=RuntimeName.FAKE,
        runtime_version="1",
        precision=Precision.FP32,
        parity=ParityFigures(
            metric="mean_iou",
            reference=0.9,
            artifact=0.9,
            share=1.0,
            score_shift=0.0,
            agreement=1.0,
            images=10,
        ),
        limits=ParityLimits(),
        latency=LatencyFigures(p50_ms=1.0, p95_ms=2.0, runs=30),
    )
