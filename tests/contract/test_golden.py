"""Golden JSON holds both sides to the contract: what one version wrote, every later one reads.

A new optional field leaves the old file as it is and adds ``<Message>.v2.json`` beside it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inference_core import contract
from inference_core.contract.base import Document, Message

GOLDEN = Path(__file__).parent / "golden"
MODULES = [
    f"inference_core.contract.{found.name}" for found in pkgutil.iter_modules(contract.__path__)
]


def _messages() -> dict[str, type[Message]]:
    found: dict[str, type[Message]] = {}
    for module in map(importlib.import_module, MODULES):
        for name, member in vars(module).items():
            is_message = isinstance(member, type) and issubclass(member, Message)
            if is_message and member.__module__ == module.__name__:
                found[name] = member
    bases = ("Message", "Document")
    return {name: found[name] for name in found if not (name in bases or name.startswith("_"))}


MESSAGES = _messages()
FILES = sorted(GOLDEN.glob("*.json"))


def _version(path: Path) -> int:
    return int(path.name.split(".")[1].removeprefix("v"))


def _newest() -> list[Path]:
    return list({path.name.split(".")[0]: path for path in sorted(FILES, key=_version)}.values())


def _read(path: Path) -> tuple[type[Message], Any]:
    return MESSAGES[path.name.split(".")[0]], json.loads(path.read_text())


def _keeps(old: Any, new: Any) -> bool:
    """Whether everything of ``old`` is in ``new``, where it was."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(k in new and _keeps(old[k], new[k]) for k in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_keeps, old, new))
    return bool(old == new)


def test_every_message_has_a_golden_file_and_every_file_a_message() -> None:
    assert {path.name.split(".")[0] for path in FILES} == set(MESSAGES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_version_is_read_and_loses_nothing(path: Path) -> None:
    message, golden = _read(path)
    read = message.model_validate_json(path.read_bytes())
    assert _keeps(golden, json.loads(read.to_json()))


@pytest.mark.parametrize("path", _newest(), ids=lambda path: path.stem)
def test_the_newest_version_is_written_as_it_was_read(path: Path) -> None:
    message, golden = _read(path)
    assert json.loads(message.model_validate_json(path.read_bytes()).to_json()) == golden


@pytest.mark.parametrize("path", _newest(), ids=lambda path: path.stem)
def test_a_newer_senders_field_is_ignored_and_a_persons_typing_mistake_is_not(path: Path) -> None:
    message, golden = _read(path)
    text = json.dumps(golden | {"field_of_tomorrow": {"x": [1]}})
    if issubclass(message, Document):
        with pytest.raises(ValidationError, match="field_of_tomorrow"):
            message.model_validate_json(text)
    else:
        assert json.loads(message.model_validate_json(text).to_json()) == golden


@pytest.mark.parametrize("path", _newest(), ids=lambda path: path.stem)
def test_a_message_cannot_be_changed(path: Path) -> None:
    message, _ = _read(path)
    read = message.model_validate_json(path.read_bytes())
    with pytest.raises(ValidationError, match="frozen"):
        setattr(read, next(iter(message.model_fields)), None)


def test_the_contract_loads_nothing_heavy_and_nothing_of_ours() -> None:
    script = f"import {', '.join(MODULES)}, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(contract.__file__).parents[2],
        ).stdout
    )
    heavy = {"numpy", "cv2", "onnxruntime", "openvino", "django", "requests", "tuf"}
    assert heavy.isdisjoint(loaded)
    ours = {name for name in loaded if name.startswith(("server", "device_agent", "fleet_ui"))}
    assert not ours
    inner = {name for name in loaded if name.startswith("inference_core.")}
    assert inner == {"inference_core.contract", *MODULES}
