"""What a build is given, brought into its folder: hashed, within limits, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from device_agent.building.calls import BuildCalls, SourceFiles
from device_agent.config import Config
from device_agent.downloads import Downloader
from device_agent.errors import Rejected, Unavailable
from device_agent.files import digest_of, make_folder, write_atomically
from device_agent.remote_files import PATIENCE, read_patiently
from inference_core.contract.build import BuildJob
from inference_core.contract.device_build import BuildFile, BuildLease, BuildSet
from inference_core.contract.release import TargetRef

ROOM = 4
"""Times the bytes that are fetched: candidates, calibration and the engine need room as well."""

LEAST_ROOM_BYTES = 64 * 1024 * 1024


def room_for(download_bytes: int) -> int:
    """Bytes of disk that a build may need, beside the reserve."""
    return max(LEAST_ROOM_BYTES, ROOM * download_bytes)


class Materials:
    """Fetched once each: after a break only what is missing comes. ``breathe`` may interrupt."""

    def __init__(
        self,
        config: Config,
        calls: BuildCalls,
        lease: BuildLease,
        folder: Path,
        *,
        breathe: Callable[[], None],
    ) -> None:
        self._calls, self._lease, self._folder = calls, lease, folder
        self._breathe = breathe
        self._downloader = Downloader(
            SourceFiles(calls, lease.turn),
            make_folder(folder / "partial"),
            disk_reserve_bytes=config.disk_reserve_bytes,
            on_piece=breathe,
        )

    def bring(self, rate_cap_bytes_s: int | None) -> Path:
        """The job file of a build that has all it needs."""
        lease = self._lease
        source = self._folder / "model.onnx"
        if not source.is_file() or digest_of(source) != lease.source_sha256:
            target = TargetRef(
                path="model.onnx", sha256=lease.source_sha256, length=lease.source_length
            )
            self._downloader.fetch(target, source, rate_cap_bytes_s)
        self._bring_set(lease.calibration, self._folder / "calibration")
        self._bring_set(lease.golden, self._folder / "golden")
        return self._write_job(source)

    def _bring_set(self, wanted: BuildSet, folder: Path) -> None:
        left = wanted.length
        for file in wanted.files:
            path = _inside(folder, file)
            if not path.is_file():
                self._fetch(file, path, left)
            left -= path.stat().st_size

    def _fetch(self, file: BuildFile, path: Path, most_bytes: int) -> None:
        """Small files: one that breaks off is fetched again, those before it are kept."""
        content, digest = bytearray(), hashlib.sha256()
        with self._calls.open_part(self._lease.turn, file.sha256) as response:
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

    def _write_job(self, source: Path) -> Path:
        lease = self._lease
        job = BuildJob(
            model_path=str(source),
            source_sha256=lease.source_sha256,
            manifest=lease.manifest,
            profile=lease.profile,
            calibration_dir=str(self._folder / "calibration"),
            calibration_sha256=lease.calibration.sha256,
            golden_dir=str(self._folder / "golden"),
            golden_sha256=lease.golden.sha256,
            output_dir=str(make_folder(self._folder / "output")),
            limits=lease.limits,
        )
        path = self._folder / "job.json"
        write_atomically(path, job.to_json(), mode=0o600)
        return path


def _inside(folder: Path, file: BuildFile) -> Path:
    """Where a file of a set lies; a server that was taken over must not choose the place."""
    path = folder / file.path
    if ".." in Path(file.path).parts or not path.resolve().is_relative_to(folder.resolve()):
        raise Rejected(f"{file.path!r} is no path within a set")
    return path
