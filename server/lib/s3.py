"""Blobs in S3, or in what speaks its protocol (MinIO, Ceph)."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from server.lib.storage import StorageAway, missing

READ_BYTES = 256 * 1024
_MISSING = frozenset({"404", "NoSuchKey"})
_ADVICE = {
    "NoSuchBucket": "the bucket does not exist; make it, or mend LINEWARDEN_BLOBS_URL",
    "InvalidAccessKeyId": "the access key is not known there; check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong; check AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "the key may not do this; it must read, write, list and delete there",
    "403": "the key may not do this; it must read, write, list and delete there",
    "NoCredentialsError": "no credentials were found; set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or give the host a role",
    "EndpointConnectionError": "the endpoint cannot be reached",
}
logger = logging.getLogger(__name__)


class S3BlobStorage(S3Storage):
    """An object appears when all of it is there, and S3 has checked the digest it was sent with.

    Whatever goes wrong is StorageAway: said once, to be tried again.
    """

    def __init__(self, **options: Any) -> None:
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 3},
            s3={"addressing_style": "path"},
            signature_version="s3v4",
        )
        super().__init__(client_config=config, default_acl=None, file_overwrite=True, **options)

    def open_from(self, name: str, start: int) -> IO[bytes]:
        """The object's bytes from ``start`` on, by one ranged request."""
        extra = {"Range": f"bytes={start}-"} if start else {}
        with in_our_words(name):
            answer = self._client().get_object(
                Bucket=self.bucket_name, Key=self._key(name), **extra
            )
        return io.BufferedReader(_Body(answer["Body"], name), READ_BYTES)

    def exists(self, name: str) -> bool:
        """Whether the object is there."""
        with in_our_words(name):
            return bool(super().exists(name))

    def size(self, name: str) -> int:
        """Its length in bytes; FileMissing."""
        with in_our_words(name):
            answer = self._client().head_object(Bucket=self.bucket_name, Key=self._key(name))
        return int(answer["ContentLength"])

    def delete(self, name: str) -> None:
        """Remove it; nothing where there is none."""
        with in_our_words(name):
            super().delete(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Folders and objects below ``path``."""
        with in_our_words(path):
            folders, names = super().listdir(path)
        return folders, names

    def _save(self, name: str, content: File[bytes]) -> str:
        content.seek(0)
        length = content.size
        with in_our_words(name):
            self._client().upload_fileobj(
                _Unclosed(content),
                self.bucket_name,
                self._key(name),
                ExtraArgs={"ChecksumAlgorithm": "SHA256"},
            )
        stored = self.size(name)
        if stored != length:
            self.delete(name)
            raise StorageAway(f"The storage took {stored} of {length} bytes; try again.")
        return name

    def _client(self) -> Any:
        return self.connection.meta.client

    def _key(self, name: str) -> str:
        return str(self._normalize_name(name))


@contextmanager
def in_our_words(name: str) -> Iterator[None]:
    """FileMissing where the object is not there, StorageAway for everything else."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise missing(name) from None
        raise _away(code, error) from error
    except (BotoCoreError, Boto3Error, HTTPClientError) as error:
        raise _away(_cause(error), error) from error


def _cause(error: Exception) -> str:
    """The code that an upload hides in the text of its own error, or the error's name."""
    return next((code for code in _ADVICE if f"({code})" in str(error)), type(error).__name__)


def _away(code: str, error: Exception) -> StorageAway:
    logger.warning("S3: %s", error)
    return StorageAway(f"The storage (S3) does not work: {_ADVICE.get(code, code)}.")


class _Unclosed:
    """A file that is lent: boto3 closes what it has uploaded."""

    def __init__(self, file: File[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        """Its owner does."""


class _Body(io.RawIOBase):
    """What S3 sends, as a file; a line that is cut is StorageAway and no short file."""

    def __init__(self, body: Any, name: str) -> None:
        self._body, self._name = body, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with in_our_words(self._name):
            content = self._body.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
