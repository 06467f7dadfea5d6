"""Opens an uploaded zip without trusting it: every limit holds before a byte is unpacked."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from pydantic import TypeAdapter, ValidationError

from inference_core.contract.dataset import RelativePath
from server.lib.errors import Invalid, TooLarge

MAX_ENTRIES = 50_000
MAX_DIRECTORY_BYTES = 8 * 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_RATIO = 200
RATIO_FREE_BYTES = 1024 * 1024
"""A file this small may be squeezed as much as it likes, as an empty mask is."""
CHUNK_BYTES = 1024 * 1024

_PATH: TypeAdapter[str] = TypeAdapter(RelativePath)
_END = struct.Struct("<4s4H2LH")
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class Archive:
    """The files of a zip by their path. ``open_archive`` makes one."""

    def __init__(self, opened: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> None:
        self._zip, self._entries = opened, entries

    @property
    def names(self) -> frozenset[str]:
        """Paths of its files; folders are not among them."""
        return frozenset(self._entries)

    def length(self, name: str) -> int:
        """Bytes of a file, unpacked."""
        return self._entries[name].file_size

    def chunks(self, name: str) -> Iterator[bytes]:
        """Content of a file; Invalid where it does not unpack to what the directory says."""
        try:
            with self._zip.open(self._entries[name]) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
            raise Invalid(f"{name} cannot be unpacked: {error}.") from None


def open_archive(file: IO[bytes], *, max_bytes: int, max_ratio: float = MAX_RATIO) -> Archive:
    """The zip in ``file``; Invalid, or TooLarge for more than ``max_bytes`` unpacked.

    ``max_ratio`` is for those who pack what repeats itself, as logs do.
    """
    _check_directory(file)
    try:
        opened = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Invalid(f"The file is no zip archive: {error}.") from None
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in opened.infolist():
        if entry.is_dir():
            continue
        _check_entry(entry, max_ratio)
        if entry.filename in entries:
            raise Invalid(f"The archive has {entry.filename} twice.")
        entries[entry.filename] = entry
    _check_total(entries, max_bytes)
    return Archive(opened, entries)


def _check_directory(file: IO[bytes]) -> None:
    """Look at the end record first: ``zipfile`` reads the whole directory into memory."""
    length = file.seek(0, 2)
    file.seek(max(0, length - _END.size))
    record = file.read(_END.size)
    if len(record) < _END.size or not record.startswith(b"PK\x05\x06"):
        raise Invalid(
            "The file is no zip archive, was cut short, or has a comment at its end. Pack it anew."
        )
    _, _, _, _, count, directory_bytes, _, _ = _END.unpack(record)
    if count > MAX_ENTRIES or directory_bytes > MAX_DIRECTORY_BYTES:
        raise TooLarge(f"The archive lists more than {MAX_ENTRIES} files.", max_files=MAX_ENTRIES)
    file.seek(max(0, length - _END.size - 20))
    if file.read(4) == b"PK\x06\x07":
        raise Invalid("The archive is in the zip64 format; no dataset needs it, pack it without.")
    file.seek(0)


def _check_entry(entry: zipfile.ZipInfo, max_ratio: float) -> None:
    try:
        _PATH.validate_python(entry.filename)
    except ValidationError:
        raise Invalid(
            f"The archive has a file named {entry.filename[:100]!r}; names are relative, of "
            "letters, digits, . _ - and /, and none leads upward or begins with a dot. "
            "Rename it, or leave it out."
        ) from None
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Invalid(f"{entry.filename} is a link or a device; only plain files are taken.")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise Invalid(f"{entry.filename} is encrypted, or packed by another method than deflate.")
    _check_size(entry, max_ratio)


def _check_size(entry: zipfile.ZipInfo, max_ratio: float) -> None:
    if entry.file_size > MAX_FILE_BYTES:
        raise TooLarge(
            f"{entry.filename} unpacks to {entry.file_size} bytes; {MAX_FILE_BYTES} are taken.",
            max_bytes=MAX_FILE_BYTES,
        )
    ratio = entry.file_size / max(1, entry.compress_size)
    if entry.file_size > RATIO_FREE_BYTES and ratio > max_ratio:
        raise Invalid(
            f"{entry.filename} is packed {ratio:.0f} to 1, as no picture is; the archive is "
            "refused as a zip bomb."
        )


def _check_total(entries: dict[str, zipfile.ZipInfo], max_bytes: int) -> None:
    total = sum(entry.file_size for entry in entries.values())
    if total > max_bytes:
        raise TooLarge(
            f"The archive unpacks to {total} bytes; {max_bytes} are taken. Divide it, or have "
            "LINEWARDEN_MAX_DATASET_BYTES raised.",
            max_bytes=max_bytes,
        )
