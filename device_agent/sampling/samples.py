"""Sampled frames on their way to review: a bounded folder of pictures, each with what is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from device_agent.files import digest_of, make_folder
from device_agent.log import logger
from device_agent.sampling.losses import SampleLosses
from device_agent.sampling.upload_budget import UploadBudget
from inference_core.contract.device import DeviceConfig
from inference_core.contract.sampling import SampleReason
from inference_core.contract.serve import FrameDone
from inference_core.contract.telemetry import MAX_SAMPLE_BYTES, SampleMeta


class Samples:
    """Pictures under ``folder``, each with its metadata, until the courier has delivered them.

    The budget is asked before one is kept. Where too many wait, chosen ones make room before
    random ones, the oldest first. What is dropped is counted. Losing one to a power cut costs a
    picture of many: they are not fsynced.
    """

    def __init__(
        self,
        folder: Path,
        spool: Path,
        *,
        limit: int,
        device: Callable[[], DeviceConfig],
        budget: UploadBudget,
        losses: SampleLosses,
    ) -> None:
        self._folder, self._spool = make_folder(folder), spool.resolve()
        self._limit, self._device = limit, device
        self._budget, self._losses = budget, losses
        self._in_hand: Path | None = None

    def keep(self, release_sha256: str, event: FrameDone) -> None:
        """Take a picture out of the spool. A path outside it is not touched."""
        if event.sample_path is None:
            if event.sample:
                self._losses.add(event.sample.reason, "not_written")
            return
        picture = Path(event.sample_path).resolve()
        if self._spool not in picture.parents or not picture.is_file():
            logger.warning("sample %s does not lie in the spool folder", picture)
            return
        try:
            self._keep(picture, self._describe(picture, release_sha256, event))
        finally:
            picture.unlink(missing_ok=True)

    def next(self) -> tuple[SampleMeta, bytes] | None:
        """The oldest sample; what cannot be read is removed."""
        for picture in self._pictures():
            self._in_hand = picture
            sample = self._read(picture)
            if sample:
                return sample
        return None

    def remove(self, meta: SampleMeta) -> None:
        """It has been delivered."""
        self._remove(self._path_of(meta))

    def refuse(self, meta: SampleMeta) -> None:
        """It never can be delivered."""
        self.remove(meta)
        self._losses.add(meta.reason, "refused")

    def clear_spool(self) -> None:
        """Remove pictures that a killed child left behind."""
        for path in self._spool.iterdir():
            if path.is_file():
                path.unlink(missing_ok=True)
                if path.suffix == ".jpg":
                    self._losses.add("unknown", "left_behind")

    def _describe(self, picture: Path, release_sha256: str, event: FrameDone) -> SampleMeta:
        draw, camera = event.sample, event.result.camera
        return SampleMeta(
            sha256=digest_of(picture),
            release_sha256=release_sha256,
            inclusion_probability=draw.probability if draw else self._probability(camera),
            reason=draw.reason if draw else "random",
            phash=draw.phash if draw else None,
            result=event.result,
        )

    def _keep(self, picture: Path, meta: SampleMeta) -> None:
        text, size_bytes = meta.to_json(), picture.stat().st_size
        if self._limit == 0:
            return
        if size_bytes > MAX_SAMPLE_BYTES:
            self._losses.add(meta.reason, "too_large")
        elif not self._may_upload(meta, size_bytes + len(text)):
            self._losses.add(meta.reason, "over_budget")
        else:
            self._file(picture, meta, text)
            self._make_room()

    def _may_upload(self, meta: SampleMeta, size_bytes: int) -> bool:
        """A disk that takes nothing keeps no account, and then nothing may be spent."""
        try:
            return self._budget.grant(meta.reason, size_bytes)
        except OSError:
            self._losses.add(meta.reason, "not_written")
            raise

    def _file(self, picture: Path, meta: SampleMeta, text: bytes) -> None:
        path = self._path_of(meta)
        try:
            path.with_suffix(".json").write_bytes(text)
            picture.replace(path)  # last: a picture always has its metadata
        except OSError:
            path.with_suffix(".json").unlink(missing_ok=True)
            self._losses.add(meta.reason, "not_written")
            raise

    def _probability(self, camera_name: str) -> float:
        """Of a child that takes one frame of a camera every ``sample_every_s`` and says no more."""
        device = self._device()
        rates = [cam.frames_per_s for cam in device.cameras if cam.name == camera_name]
        frames = max(rates, default=1.0) * device.sample_every_s
        return min(1.0, 1.0 / frames)

    def _read(self, picture: Path) -> tuple[SampleMeta, bytes] | None:
        try:
            return self._read_meta(picture), picture.read_bytes()
        except (OSError, ValidationError) as error:
            if not picture.exists():  # it has made room a moment ago, and was counted
                return None
            logger.warning("dropping the unreadable sample %.12s: %s", picture.stem, error)
            self._remove(picture)
            self._losses.add("unknown", "unreadable")
            return None

    def _read_meta(self, picture: Path) -> SampleMeta:
        return SampleMeta.model_validate_json(picture.with_suffix(".json").read_bytes())

    def _pictures(self) -> list[Path]:
        return sorted(self._folder.glob("*.jpg"), key=_modified_at)

    def _make_room(self) -> None:
        """Reviewing chosen frames alone measures nothing, so random ones stay longest."""
        pictures = self._pictures()
        if len(pictures) <= self._limit:
            return
        reasons = {picture: self._reason_of(picture) for picture in pictures}
        pictures.sort(key=lambda picture: reasons[picture] == "random")  # keeps the order of age
        for picture in pictures[: -self._limit]:
            if picture != self._in_hand:  # it may be arriving at the server right now
                self._remove(picture)
                self._losses.add(reasons[picture], "over_limit")

    def _reason_of(self, picture: Path) -> SampleReason | Literal["unknown"]:
        try:
            return self._read_meta(picture).reason
        except (OSError, ValidationError):  # delivered and removed by the courier, or rotten
            return "unknown"

    def _remove(self, picture: Path) -> None:
        picture.unlink(missing_ok=True)
        picture.with_suffix(".json").unlink(missing_ok=True)

    def _path_of(self, meta: SampleMeta) -> Path:
        """Two frames of a still scene may be the same bytes, and are two samples."""
        moment_us = int(meta.result.captured_at.timestamp() * 1e6)
        return self._folder / f"{meta.sha256}-{moment_us}.jpg"


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # delivered and removed by the courier meanwhile
        return 0.0
