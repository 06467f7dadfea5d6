"""A signed release on its way into the store: fetched, verified, staged; whatever it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_agent.admission import (
    Device,
    judge_artifact,
    judge_certificate,
    judge_release,
    judge_target,
)
from device_agent.downloads import Downloader
from device_agent.errors import Rejected
from device_agent.hardware.generic import memory_bytes
from device_agent.journal import Journal
from device_agent.store import Store
from inference_core.contract.release import ReleaseManifest, TargetRef
from inference_core.contract.words import FailureCause

if TYPE_CHECKING:  # tuf costs 9 MB that an agent without a deployment does not pay
    from device_agent.trust import SignedTargets


def device_for(profile: str, journal: Journal, store: Store) -> Device:
    """What admission judges by on this device."""
    floor = max(journal.counter_floor, store.counter_floor())
    return Device(profile, floor, memory_bytes())


@dataclass(frozen=True)
class Fetcher:
    """Each method may be repeated after a power cut at any point; ``Rejected`` is final."""

    device: Device
    store: Store
    downloader: Downloader
    open_targets: Callable[[], SignedTargets]
    rate_cap_bytes_s: int | None

    def fetch(self, release: TargetRef) -> None:
        """Bring what is missing of a release. Every file is judged by signed fields first."""
        targets = self.open_targets()
        custom = judge_target("release", release, targets.find(release.path), self.device)
        manifest = judge_release(self._bring(release), release, custom, self.device)
        for artifact in manifest.artifacts.values():
            signed = targets.find(artifact.target.path)
            judge_artifact(artifact, judge_target("artifact", artifact.target, signed, self.device))
            signed = targets.find(artifact.certificate.path)
            judge_target("certificate", artifact.certificate, signed, self.device)
            judge_certificate(self._bring(artifact.certificate), artifact, self.device)
            self._fetch(artifact.target)

    def verify(self, release: TargetRef) -> None:
        """Hash everything again, as it lies on the disk now."""
        content = self.store.blob_path(release.sha256).read_bytes()
        manifest = ReleaseManifest.model_validate_json(content)
        artifacts = [artifact.target.sha256 for artifact in manifest.artifacts.values()]
        for sha256 in (release.sha256, *artifacts):
            if not self.store.holds_intact(sha256):
                raise Rejected(
                    f"the file {sha256[:12]} changed on disk after its download",
                    cause=FailureCause.DOWNLOAD,
                )

    def stage(self, release: TargetRef) -> None:
        """Give a release its place; ``current`` still points to the old one."""
        self.store.stage(release.sha256, self.store.blob_path(release.sha256).read_bytes())

    def _bring(self, target: TargetRef) -> bytes:
        self._fetch(target)
        return self.store.blob_path(target.sha256).read_bytes()

    def _fetch(self, target: TargetRef) -> None:
        if not self.store.holds_intact(target.sha256):
            destination = self.store.blob_path(target.sha256)
            self.downloader.fetch(target, destination, self.rate_cap_bytes_s)
