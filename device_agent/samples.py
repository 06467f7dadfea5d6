"""Sampled frames on their way to review: a bounded folder of pictures, each with what is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from device_agent.files import digest_of, make_folder
from device_agent.log import logger
from inference_core.contract.device import DeviceConfig
from inference_core.contract.serve import FrameDone
from inference_core.contract.telemetry import MAX_SAMPLE_BYTES, SampleMeta


class Samples:
    """Pictures named by digest under ``folder``; the oldest make room for new ones.

    Losing one to a power cut costs a picture of many: they are not fsynced.
    """

    def __init__(
        self, folder: Path, spool: Path, *, limit: int, device: Callable[[], DeviceConfig]
    ) -> None:
        self._folder, self._spool = make_folder(folder), spool.resolve()
        self._limit, self._device = limit, device

    def keep(self, release_sha256: str, event: FrameDone) -> None:
        """Take a picture out of the spool. A path outside it is not touched."""
        if event.sample_path is None:
            return
        picture = Path(event.sample_path).resolve()
        if self._spool not in picture.parents or not picture.is_file():
            logger.warning("sample %s does not lie in the spool folder", picture)
            return
        if self._limit == 0 or picture.stat().st_size > MAX_SAMPLE_BYTES:
            picture.unlink()
            return
        meta = SampleMeta(
            sha256=digest_of(picture),
            release_sha256=release_sha256,
            inclusion_probability=self._probability(event.result.camera),
            result=event.result,
        )
        self._meta_path(meta.sha256).write_bytes(meta.to_json())
        picture.replace(self._picture_path(meta.sha256))  # last: a picture always has its meta
        self._make_room()

    def next(self) -> tuple[SampleMeta, bytes] | None:
        """The oldest sample; what cannot be read is removed."""
        for picture in self._pictures():
            sample = self._read(picture)
            if sample:
                return sample
        return None

    def remove(self, sha256: str) -> None:
        """It has been delivered, or never can be."""
        self._picture_path(sha256).unlink(missing_ok=True)
        self._meta_path(sha256).unlink(missing_ok=True)

    def clear_spool(self) -> None:
        """Remove pictures that a killed child left behind."""
        for path in self._spool.iterdir():
            if path.is_file():
                path.unlink(missing_ok=True)

    def _probability(self, camera_name: str) -> float:
        """Share of a camera's frames that are sampled at one every ``sample_every_s``."""
        device = self._device()
        rates = [cam.frames_per_s for cam in device.cameras if cam.name == camera_name]
        frames = max(rates, default=1.0) * device.sample_every_s
        return min(1.0, 1.0 / frames)

    def _read(self, picture: Path) -> tuple[SampleMeta, bytes] | None:
        try:
            meta = SampleMeta.model_validate_json(self._meta_path(picture.stem).read_bytes())
            return meta, picture.read_bytes()
        except (OSError, ValidationError) as error:
            logger.warning("dropping the unreadable sample %.12s: %s", picture.stem, error)
            self.remove(picture.stem)
            return None

    def _pictures(self) -> list[Path]:
        return sorted(self._folder.glob("*.jpg"), key=_modified_at)

    def _make_room(self) -> None:
        for picture in self._pictures()[: -self._limit]:
            self.remove(picture.stem)

    def _picture_path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.jpg"

    def _meta_path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.json"


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # delivered and removed by the courier meanwhile
        return 0.0
