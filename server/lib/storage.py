"""Where blobs lie. Files appear whole or not at all, and can be read from any byte on."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import IO, Protocol, cast

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.files.storage.handler import InvalidStorageError

from server.lib.errors import Unavailable


class StorageAway(Unavailable, OSError):
    """The storage does not do what it is asked for now; 503 to callers, an OSError to workers."""


class FileMissing(StorageAway, FileNotFoundError):
    """A file that must be there is not: somebody has to look."""


class Storage(Protocol):
    """What is asked of a storage beside Django's own methods."""

    def open_from(self, name: str, start: int) -> IO[bytes]:
        """The file's bytes from ``start`` on, read as they are asked for; FileMissing."""


class AtomicFileSystemStorage(FileSystemStorage):
    """Django's file storage, but a crash in mid-write leaves no half file under its name.

    Meant for content-addressed names: a file that exists already has the same bytes.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002
        """The name itself: the same name is the same content, and takes its place at once."""
        return name

    def open_from(self, name: str, start: int) -> IO[bytes]:
        """The file's bytes from ``start`` on; FileMissing where there is none."""
        try:
            file = Path(self.path(name)).open("rb")  # noqa: SIM115 - the caller closes it
        except FileNotFoundError:
            raise missing(name) from None
        file.seek(start)
        return file

    def _save(self, name: str, content: File[bytes]) -> str:
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.partial")
        try:
            with partial.open("xb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(path.parent)
        return name


def the_storage() -> Storage:
    """The configured storage, with what we ask of it."""
    return cast("Storage", default_storage)


def missing(name: str) -> FileMissing:
    """The error for a file that is not there."""
    return FileMissing(f"The server's storage has no {name}; an admin must look into it.")


def require_storage() -> None:
    """Write, read and remove a small file. StorageAway with a sentence where that fails."""
    name, content = f"probe/{secrets.token_hex(8)}", b"linewarden"
    try:
        default_storage.save(name, ContentFile(content))
        with the_storage().open_from(name, 4) as file:
            came = file.read()
        default_storage.delete(name)
    except InvalidStorageError:
        raise StorageAway(
            "LINEWARDEN_BLOBS_URL asks for S3, whose library is not installed; "
            "run: pip install 'linewarden[s3]'"
        ) from None
    except StorageAway:
        raise
    except OSError as error:
        raise StorageAway(f"The blobs cannot be stored: {error}") from None
    if came != content[4:]:
        raise StorageAway("The storage gives back other bytes than it was given.")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
