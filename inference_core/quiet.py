"""Keeps the libraries of the core from talking to their makers.

Tried in November 2026: ``import openvino`` reports to Google Analytics, NNCF does so for every
quantisation, and ONNX Runtime 1.32 for Linux carries Microsoft's reporter and writes a device
identity into the cache folder of the user. A device in a factory talks to its own server only.
"""

from __future__ import annotations

import os
import sys


def silence_telemetry() -> None:
    """Switch the reports off. Call it before any of these libraries is imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["NNCF_CI"] = "1"
    # None makes the import fail, as Python documents; OpenVINO and NNCF then use their own stubs.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # see above
