"""The two folders of this machine that an address may name something in.

An address is written at the server. What it may read and where it may write is decided by the
person at the box, who sets the two folders in the environment.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import BinaryIO

from inference_core.contract.addresses import (
    DEFAULT_SECRETS_DIR,
    OUTPUT_VARIABLE,
    SECRETS_VARIABLE,
    check_name,
    split_output,
)

_log = logging.getLogger(__name__)
_MAX_SECRET_BYTES = 4096
_MAX_FILE_BYTES = 1024 * 1024
"""A bundle of certificates has some 200 KiB."""


def read_secret(name: str) -> str:
    """The text of a file in the folder for secrets, without white space around it.

    Raises ``ValueError`` where there is none that may be used.
    """
    file = _open_secret_file("secret", name, _MAX_SECRET_BYTES)
    with os.fdopen(file, "rb") as opened:
        data = opened.read(_MAX_SECRET_BYTES)
    try:
        secret = data.decode().strip()
    except UnicodeDecodeError:  # its message would quote the secret
        raise ValueError("the file that secret= names is no UTF-8 text") from None
    if not secret:
        raise ValueError("the file that secret= names is empty")
    return secret


def find_secret_file(option: str, name: str) -> Path:
    """Path of a file in the folder for secrets, for libraries that read it by themselves.

    Raises ``ValueError`` as ``read_secret``.
    """
    os.close(_open_secret_file(option, name, _MAX_FILE_BYTES))
    return _find_secrets_dir() / name


def find_output(place: str) -> Path:
    """Where ``/folder/name`` of an address lies in the output folder, links followed.

    Raises ``ValueError`` where there is no output folder, or the path leads out of it.
    """
    given = os.environ.get(OUTPUT_VARIABLE)
    if not given:
        raise ValueError(
            "this device has no folder for files of sinks: set output_dir in the agent's "
            f"settings at the box ({OUTPUT_VARIABLE} where there is no agent)"
        )
    # realpath and not resolve(): it takes a loop of links for what it is, and open() refuses it.
    folder = os.path.realpath(given)
    path = os.path.realpath(Path(folder, *split_output(place)))
    if os.path.commonpath((folder, path)) != folder or path == folder:
        raise ValueError("the path leads out of the device's output folder over a link")
    return Path(path)


def open_to_append(path: Path) -> BinaryIO:
    """A regular file at its end, made where it is missing; a link is refused with ``OSError``."""
    # NONBLOCK: a pipe without a reader would hold the courier for good.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.open(path, flags, 0o644)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(file, "ab")


def _find_secrets_dir() -> Path:
    return Path(os.environ.get(SECRETS_VARIABLE) or DEFAULT_SECRETS_DIR)


def _open_secret_file(option: str, name: str, max_bytes: int) -> int:
    """A descriptor of the file itself: what is checked is what is read.

    No error repeats the name: somebody may have written the secret there.
    """
    check_name(option, name)
    folder = None
    try:
        folder = os.open(_find_secrets_dir(), os.O_RDONLY | os.O_DIRECTORY)
        # NONBLOCK: a pipe in the folder must not hold up the start.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        about = os.fstat(folder)
    except OSError as error:
        raise ValueError(
            f"the file that {option}= names cannot be read in {_find_secrets_dir()}: "
            f"{error.strerror}"
        ) from error
    finally:
        if folder is not None:
            os.close(folder)
    try:
        _check_file(f"the file that {option}= names", os.fstat(file), about, max_bytes)
    except ValueError:
        os.close(file)
        raise
    return file


def _check_file(what: str, file: os.stat_result, folder: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(file.st_mode):
        raise ValueError(f"{what} is no regular file")
    if file.st_uid not in (0, os.geteuid(), folder.st_uid):
        raise ValueError(f"{what} belongs to neither root nor the folder's owner")
    if file.st_size > max_bytes:
        raise ValueError(f"{what} has over {max_bytes} bytes")
    if folder.st_mode & 0o007:
        _log.warning("%s is open to everybody on this machine: chmod o= it", _find_secrets_dir())
