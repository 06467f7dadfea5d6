"""Passphrases come from a terminal or a file, and from nowhere else. Never from an argument."""

from __future__ import annotations

import getpass
import warnings
from pathlib import Path

from server.lib.errors import Invalid
from server.trust.holders import check_passphrase


def ask_new(what: str, file: Path | None) -> str:
    """A new passphrase: twice on the terminal, or the first line of ``file``."""
    if file is not None:
        return check_passphrase(_from_file(file))
    first = check_passphrase(_ask(f"New passphrase for {what}: "))
    if _ask("The same again: ") != first:
        raise Invalid("The two passphrases differ; nothing was written.")
    return first


def ask(what: str, file: Path | None) -> str:
    """The passphrase of a key that is there."""
    return _from_file(file) if file is not None else _ask(f"Passphrase for {what}: ")


def _ask(prompt: str) -> str:
    with warnings.catch_warnings():
        # Without a terminal it would fall back to reading with an echo.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except (getpass.GetPassWarning, EOFError):
            raise Invalid(
                "There is no terminal to ask for the passphrase: name --passphrase-file."
            ) from None


def _from_file(path: Path) -> str:
    """``/dev/stdin`` and ``/dev/fd/N`` are files too."""
    try:
        with path.open() as file:
            return file.readline(4096).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"No passphrase can be read from {path}: {error}") from None
