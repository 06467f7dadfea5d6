"""A real file system that is small enough to be filled."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path


def may_mount(folder: Path) -> bool:
    """Whether this kernel lets us: root of a container often may not."""
    if os.geteuid() != 0:
        return False
    try:
        with SmallDisk(folder, size_mib=1):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


class SmallDisk:
    """An ext4 in a file over ``folder``; ``with`` mounts and unmounts it."""

    def __init__(self, folder: Path, *, size_mib: int, block_bytes: int = 4096) -> None:
        self._folder, self._size_mib, self._block_bytes = folder, size_mib, block_bytes
        self._filler = folder / "somebody-elses.log"
        self._image = folder.with_name("small-disk.img")

    def __enter__(self) -> SmallDisk:  # noqa: PYI034 - typing.Self needs Python 3.11
        with self._image.open("wb") as image:
            image.truncate(self._size_mib << 20)
        layout = ("-b", str(self._block_bytes), "-m", "0", "-O", "^has_journal")
        _run("mkfs.ext4", "-q", *layout, str(self._image))
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self._folder))
        return self

    def break_down(self) -> None:
        """The kernel meets an error of the disk, and turns it read-only under whoever writes."""
        found = _run("findmnt", "--noheadings", "--output", "SOURCE", str(self._folder))
        device = Path(found.strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", str(self._folder))

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Another program takes all that is free, but for ``leave_bytes``."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while self.free_bytes > leave_bytes:
                    file.write(b"\0" * min(65536, self.free_bytes - leave_bytes))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def clear(self) -> None:
        """Somebody has tidied up."""
        self._filler.unlink()

    @property
    def free_bytes(self) -> int:
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
