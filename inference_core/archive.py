"""One file of several members, stored and not compressed: what a ZIP is to an artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from inference_core.errors import LoadFailed

_NO_DATE = (1980, 1, 1, 0, 0, 0)  # equal members give equal bytes


def pack(path: Path, members: Mapping[str, bytes]) -> None:
    """Write the members in their order."""
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(ZipInfo(name, _NO_DATE), data)


def require_members(path: Path, names: Sequence[str]) -> None:
    """Raises ``LoadFailed`` for an archive that holds anything else, or holds something twice."""
    try:
        with ZipFile(path) as archive:
            found = sorted(archive.namelist())
    except (BadZipFile, OSError, ValueError) as error:
        raise LoadFailed(f"{path.name} cannot be read: {error}") from error
    if found != sorted(names):
        raise LoadFailed(f"{path.name} holds {found}, not {' and '.join(names)}")


def unpack(path: Path, member: str, limit_bytes: int) -> bytes:
    """One member, its checksum verified; the others are not read.

    Raises ``LoadFailed`` where it is absent, compressed (a stored member cannot grow when it is
    read), longer than ``limit_bytes``, or damaged.
    """
    try:
        with ZipFile(path) as archive:
            info = archive.getinfo(member)
            if info.compress_type != ZIP_STORED or info.file_size != info.compress_size:
                raise LoadFailed(f"{member} is compressed; it must be stored as it is")
            if info.file_size > limit_bytes:
                raise LoadFailed(f"{member} is larger than {limit_bytes} bytes")
            return archive.read(info)
    except KeyError as error:
        raise LoadFailed(f"{path.name} holds no {member}") from error
    except (BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise LoadFailed(f"{path.name} cannot be read: {error}") from error
