"""What lies on disk: blobs by content, releases by digest, and which of them is current."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from device_agent.errors import Rejected
from device_agent.files import (
    digest_of,
    make_folder,
    point_link,
    shut_out_others,
    sync_folder,
    write_atomically,
)
from inference_core.contract.release import ReleaseManifest
from inference_core.contract.words import FailureCause


@dataclass(frozen=True)
class StagedRelease:
    """A release whose every file has just been hashed, ready to be loaded."""

    sha256: str
    manifest: ReleaseManifest
    artifacts: dict[str, str]


class Store:
    """Blobs and releases under ``folder``; ``current`` is the last release that proved itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder)
        self._blobs = make_folder(folder / "blobs" / "sha256")
        self._releases = make_folder(folder / "releases")
        self.partial = make_folder(folder / "blobs" / "partial")
        for mine in (folder, folder / "blobs", self._blobs, self._releases, self.partial):
            shut_out_others(mine)

    @property
    def current(self) -> str | None:
        """Digest of the release to run after a power cut."""
        return self._linked("current")

    @property
    def previous(self) -> str | None:
        """Digest of the release before it, kept ready."""
        return self._linked("previous")

    @property
    def shadow(self) -> str | None:
        """Digest of the release that is kept for the shadow."""
        return self._linked("shadow")

    def keep_for_shadow(self, sha256: str | None) -> None:
        """Keep this release, too, as long as it is wanted in the shadow."""
        if sha256 == self.shadow:
            return
        if sha256:
            point_link(self._folder / "shadow", f"releases/{sha256}")
        else:
            (self._folder / "shadow").unlink(missing_ok=True)

    def blob_path(self, sha256: str) -> Path:
        """Where the bytes with this digest lie, or would lie."""
        return self._blobs / sha256

    def holds_intact(self, sha256: str) -> bool:
        """Whether the blob is here and still has its digest; a rotten one is removed."""
        path = self.blob_path(sha256)
        if not path.exists():
            return False
        if digest_of(path) == sha256:
            return True
        path.unlink()
        return False

    def stage(self, sha256: str, content: bytes) -> None:
        """Keep a verified release manifest under its digest."""
        folder = make_folder(self._releases / sha256)
        write_atomically(folder / "manifest.json", content)

    def manifest(self, sha256: str) -> ReleaseManifest:
        """The staged manifest; ``Rejected`` when it is gone or damaged."""
        path = self._releases / sha256 / "manifest.json"
        try:
            if digest_of(path) != sha256:
                raise Rejected(f"release {sha256[:12]} is damaged on disk", cause=_ROTTEN)
            return ReleaseManifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise Rejected(
                f"release {sha256[:12]} cannot be read: {error}", cause=_ROTTEN
            ) from error

    def open(self, sha256: str) -> StagedRelease:
        """Hash every file of the release now, just before it is loaded; else ``Rejected``.

        The child opens them a moment later, by name. In between only this agent's own user could
        change them: folders and blobs are writable to nobody else.
        """
        manifest = self.manifest(sha256)
        artifacts = {}
        for model, artifact in manifest.artifacts.items():
            digest = artifact.target.sha256
            if not self.holds_intact(digest):
                raise Rejected(
                    f"the artifact of {model!r} is missing or damaged on disk", cause=_ROTTEN
                )
            artifacts[model] = str(self.blob_path(digest).absolute())
        return StagedRelease(sha256, manifest, artifacts)

    def counter_floor(self) -> int:
        """The lowest counter that the kept releases allow: one step back stays possible."""
        counters = []
        for sha256 in (self.current, self.previous):
            if sha256:
                try:
                    counters.append(self.manifest(sha256).counter)
                except Rejected:  # a damaged manifest vouches for nothing
                    continue
        return min(counters, default=0)

    def switch(self, new: str, old: str | None) -> None:
        """Make ``new`` current and ``old`` previous; doing it twice is harmless.

        ``previous`` goes first: at every moment ``current`` names a complete release.
        """
        if old and old != new:
            point_link(self._folder / "previous", f"releases/{old}")
        point_link(self._folder / "current", f"releases/{new}")

    def restore(self, old: str | None) -> None:
        """Make ``old`` current again, or nothing where there was nothing."""
        if old:
            point_link(self._folder / "current", f"releases/{old}")
        else:
            (self._folder / "current").unlink(missing_ok=True)
            sync_folder(self._folder)

    def prune(self, also_keep: Iterable[str] = ()) -> None:
        """Remove what neither current, previous, shadow nor ``also_keep`` need."""
        releases = {self.current, self.previous, self.shadow, *also_keep} - {None}
        blobs = {digest for release in releases if release for digest in self._blobs_of(release)}
        for path in self._releases.iterdir():
            if path.name not in releases:
                shutil.rmtree(path)
        for path in (*self._blobs.iterdir(), *self.partial.iterdir()):
            if path.name not in blobs:
                path.unlink()
        sync_folder(self._blobs)

    def drop_partials(self) -> None:
        """Remove downloads that were given up."""
        for path in self.partial.iterdir():
            path.unlink()

    def _blobs_of(self, sha256: str) -> set[str]:
        try:
            return {ref.target.sha256 for ref in self.manifest(sha256).artifacts.values()}
        except Rejected:  # nothing can be loaded by a manifest that cannot be read
            return set()

    def _linked(self, name: str) -> str | None:
        try:
            return (self._folder / name).readlink().name
        except OSError:
            return None


_ROTTEN = FailureCause.LOAD_FAILED
