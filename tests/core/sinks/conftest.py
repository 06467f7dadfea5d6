"""The two folders of a box that addresses of sinks may name something in."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.contract.addresses import OUTPUT_VARIABLE, SECRETS_VARIABLE


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder))
    return folder


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    monkeypatch.setenv(OUTPUT_VARIABLE, str(folder))
    return folder
