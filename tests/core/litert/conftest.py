"""Tests that convert need an environment of their own; without it they are skipped aloud."""

from __future__ import annotations

import importlib.util
import os

import pytest

from inference_core.optimize.tflite_child import NEEDS
from inference_core.optimize.tflite_convert import INTERPRETER_VARIABLE

HINT = (
    "needs the converter to TFLite: python3.12 -m venv ENV && ENV/bin/pip install "
    f"'linewarden[litert-build]', then {INTERPRETER_VARIABLE}=ENV/bin/python"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A named interpreter is believed: where it lacks the packages, the tests fail."""
    if os.environ.get(INTERPRETER_VARIABLE) or all(map(importlib.util.find_spec, NEEDS)):
        return
    for item in items:
        if item.get_closest_marker("litert_build"):
            item.add_marker(pytest.mark.skip(reason=HINT))
