"""What a turn is given, brought into its folder: hashed, within limits, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from device_agent.building.calls import TurnCalls, TurnFiles
from device_agent.building.desk import Room
from device_agent.config import Config
from device_agent.downloads import Downloader
from device_agent.errors import Rejected, Unavailable
from device_agent.files import digest_of, make_folder, write_atomically
from device_agent.remote_files import PATIENCE, read_patiently
from inference_core.contract.base import Message
from inference_core.contract.build import BuildJob
from inference_core.contract.device_build import BuildFile, BuildLease, BuildSet
from inference_core.contract.release import TargetRef

ROOM: dict[Room, int] = {"builds": 4, "checks": 2}
"""Times the bytes that are fetched: candidates, calibration and the engine need room as well."""

LEAST_ROOM_BYTES = 64 * 1024 * 1024


def room_for(download_bytes: int, room: Room = "builds") -> int:
    """Bytes of disk that a turn may need, beside the reserve."""
    return max(LEAST_ROOM_BYTES, ROOM[room] * download_bytes)


class Bringer:
    """Brings files of a turn once each: after a break only what is missing comes.

    ``breathe`` may interrupt.
    """

    def __init__(
        self,
        config: Config,
        calls: TurnCalls,
        place: str,
        folder: Path,
        *,
        breathe: Callable[[], None],
    ) -> None:
        self._calls, self._place, self._breathe = calls, place, breathe
        self.folder = folder
        self._downloader = Downloader(
            TurnFiles(calls, place),
            make_folder(folder / "partial"),
            disk_reserve_bytes=config.disk_reserve_bytes,
            on_piece=breathe,
        )

    def bring_file(
        self, sha256: str, length: int, path: Path, rate_cap_bytes_s: int | None
    ) -> None:
        """A large one, resumed by range where it broke off."""
        if not path.is_file() or digest_of(path) != sha256:
            target = TargetRef(path=path.name, sha256=sha256, length=length)
            make_folder(path.parent)
            self._downloader.fetch(target, path, rate_cap_bytes_s)

    def bring_set(self, wanted: BuildSet, folder: Path) -> Path:
        """All files of a set, which is never larger than it was said to be."""
        left = wanted.length
        for file in wanted.files:
            path = _inside(folder, file)
            if not path.is_file():
                self._fetch(file, path, left)
            left -= path.stat().st_size
        return folder

    def write_job(self, job: Message) -> Path:
        """The job of the child, for this user alone."""
        path = self.folder / "job.json"
        write_atomically(path, job.to_json(), mode=0o600)
        return path

    def _fetch(self, file: BuildFile, path: Path, most_bytes: int) -> None:
        """Small files: one that breaks off is fetched again, those before it are kept."""
        content, digest = bytearray(), hashlib.sha256()
        with self._calls.open_part(self._place, file.sha256) as response:
            if response.status_code != 200:
                status = response.status_code
                raise Rejected(f"the server does not give {file.path}: {status}", status=status)
            for piece in read_patiently(response, PATIENCE):
                content += piece
                digest.update(piece)
                if len(content) > most_bytes:
                    raise Rejected(f"{file.path} is larger than its whole set was said to be")
                self._breathe()
        if digest.hexdigest() != file.sha256:
            raise Unavailable(f"{file.path} did not arrive as it was named")
        make_folder(path.parent)
        write_atomically(path, bytes(content))


class Materials:
    """What a build is given."""

    def __init__(self, bringer: Bringer, lease: BuildLease) -> None:
        self._bringer, self._lease = bringer, lease

    def bring(self, rate_cap_bytes_s: int | None) -> Path:
        """The job file of a build that has all it needs."""
        lease, bringer, folder = self._lease, self._bringer, self._bringer.folder
        source = folder / "model.onnx"
        bringer.bring_file(lease.source_sha256, lease.source_length, source, rate_cap_bytes_s)
        bringer.bring_set(lease.calibration, folder / "calibration")
        bringer.bring_set(lease.golden, folder / "golden")
        return bringer.write_job(self._make_job(source, folder))

    def _make_job(self, source: Path, folder: Path) -> BuildJob:
        lease = self._lease
        return BuildJob(
            model_path=str(source),
            source_sha256=lease.source_sha256,
            manifest=lease.manifest,
            profile=lease.profile,
            calibration_dir=str(folder / "calibration"),
            calibration_sha256=lease.calibration.sha256,
            golden_dir=str(folder / "golden"),
            golden_sha256=lease.golden.sha256,
            output_dir=str(make_folder(folder / "output")),
            limits=lease.limits,
        )


def _inside(folder: Path, file: BuildFile) -> Path:
    """Where a file of a set lies; a server that was taken over must not choose the place."""
    path = folder / file.path
    if ".." in Path(file.path).parts or not path.resolve().is_relative_to(folder.resolve()):
        raise Rejected(f"{file.path!r} is no path within a set")
    return path
