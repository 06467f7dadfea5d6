"""Weights beside an ONNX file: brought into it, from its own folder and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from inference_core.cli import main
from tests.core.onnx_models import brightness_model


def split(folder: Path) -> Path:
    """The sample model, its weights in a file of their own."""
    path = folder / "model.onnx"
    onnx.save_model(
        brightness_model(), path, save_as_external_data=True, location="w.data", size_threshold=0
    )
    return path


def change(path: Path, **told: str) -> None:
    model = onnx.load(path, load_external_data=False)
    tensor = next(t for t in model.graph.initializer if t.external_data)
    for entry in tensor.external_data:
        entry.value = told.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())


def test_the_weights_are_the_same_in_one_file(tmp_path: Path) -> None:
    whole = tmp_path / "whole.onnx"
    assert main(["embed", str(split(tmp_path)), "-o", str(whole)]) == 0
    found, wanted = onnx.load(whole, load_external_data=False), brightness_model()
    assert not [t for t in found.graph.initializer if t.external_data]
    for one, other in zip(found.graph.initializer, wanted.graph.initializer, strict=True):
        assert np.array_equal(onnx.numpy_helper.to_array(one), onnx.numpy_helper.to_array(other))


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    whole = tmp_path / "whole.onnx"
    whole.write_text("mine")
    assert main(["embed", str(split(tmp_path)), "-o", str(whole)]) == 2
    assert whole.read_text() == "mine"


@pytest.mark.parametrize(
    "told",
    [
        {"location": "../secret"},
        {"location": "/etc/passwd"},
        {"location": ""},
        {"location": ".."},
        {"location": "absent.data"},
        {"location": "link"},
        {"location": "folder"},
        {"offset": "-1"},
        {"offset": "99999999"},
        {"length": "99999999999999999999"},
        {"length": "999999999"},
    ],
)
def test_what_lies_elsewhere_or_is_cut_short_is_refused(
    tmp_path: Path, told: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("secret" * 1000)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "folder").mkdir()
    path, whole = split(inside), tmp_path / "whole.onnx"
    change(path, **told)

    assert main(["embed", str(path), "-o", str(whole), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problem"]["code"] == "external_data"
    assert not whole.exists()
