"""A keyholder with a stick, and a server that asks: everything through the command line's doors."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.__main__ import _parser
from server.trust.console.parser import main

PHRASE = "correct horse battery"


class Ceremony:
    """``run`` is the command line; keys lie on a stick, which the server never sees."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.stick, self.request = folder / "stick", folder / "request.json"
        self.stick.mkdir()
        self.phrase = folder / "phrase"
        self.phrase.write_text(PHRASE + "\n")
        self._capsys = capsys

    def run(self, *words: object, status: int = 0) -> str:
        """What it said; the exit status is the one that is expected."""
        self._capsys.readouterr()
        found = main(_parser().parse_args(["trust", *map(str, words)]))
        out, err = self._capsys.readouterr()
        assert found == status, out + err
        return out + err

    def keys(self, count: int = 1, threshold: int = 1, folder: str = "") -> Path:
        place = self.stick / folder
        phrase = ("--passphrase-file", self.phrase)
        self.run("keys", place, "--keys", count, "--threshold", threshold, *phrase)
        return place

    def person(self, name: str) -> Path:
        path = self.stick / f"{name}.pem"
        self.run("key", path, "--holder", name, "--passphrase-file", self.phrase)
        return path

    def init(self, count: int = 1, threshold: int = 1) -> None:
        """An installation whose root and targets lie on the stick from now on."""
        self.ask_init(self.keys(count, threshold))
        for role in ("root", "targets"):
            for number in range(1, threshold + 1):
                self.sign(f"{role}-{number}.pem")
        self.take_in()

    def ask_init(self, folder: Path) -> str:
        files = ("--root", folder / "root.pub", "--targets", folder / "targets.pub")
        return self.run("init", *files, "--to", self.request)

    def ask(self, *words: object, command: str = "request") -> str:
        self.request.unlink(missing_ok=True)
        return self.run(command, *words, "--to", self.request)

    def sign(self, key: str, status: int = 0) -> str:
        phrase = ("--passphrase-file", self.phrase)
        return self.run(
            "sign", self.request, "--key", self.stick / key, "--yes", *phrase, status=status
        )

    def take_in(self, status: int = 0) -> str:
        return self.run("import", self.request, status=status)
