"""OpenCV's DNN module: a light fallback wherever OpenCV is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.words import RuntimeName
from inference_core.errors import InferenceFailed, LoadFailed
from inference_core.runtimes.base import DEFAULT_OPTIONS, Array, SessionOptions, run_on_zeros


class OpenCvSession:
    """A ``cv2.dnn.Net``. It has no metadata: OpenCV's importer drops it."""

    def __init__(self, net: cv2.dnn.Net, manifest: ModelManifest) -> None:
        self._net: cv2.dnn.Net | None = net
        self.inputs: tuple[TensorSpec, ...] = manifest.inputs
        self.outputs: tuple[TensorSpec, ...] = manifest.outputs
        self.metadata: dict[str, str] = {}
        self._names = [spec.name for spec in manifest.outputs]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output of the manifest by its name."""
        if self._net is None:
            raise InferenceFailed("the session is closed")
        try:
            for name, array in inputs.items():
                self._net.setInput(array, name)
            outputs = self._net.forward(self._names)
        except cv2.error as error:
            raise InferenceFailed(f"OpenCV DNN: {error.err}") from error
        # The net writes into the same memory next time, so the caller gets copies.
        return {name: np.array(array) for name, array in zip(self._names, outputs, strict=True)}

    def close(self) -> None:
        """Gives the memory back."""
        self._net = None


class OpenCvDnn:
    """OpenCV DNN on the CPU. Its thread count is the process's, not the session's."""

    name = RuntimeName.OPENCV_DNN

    def version(self) -> str:
        """The version of OpenCV."""
        return str(cv2.__version__)

    def load(
        self, path: Path, manifest: ModelManifest, options: SessionOptions = DEFAULT_OPTIONS
    ) -> OpenCvSession:
        """Loads an ONNX file.

        OpenCV does not tell a graph's shapes, so the graph is asked by one run on zeros.
        """
        cv2.setNumThreads(options.threads)
        try:
            net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise LoadFailed(f"OpenCV DNN does not load {path.name}: {error.err}") from error
        names = set(net.getUnconnectedOutLayersNames())
        absent = {spec.name for spec in manifest.outputs} - names
        if absent:
            raise LoadFailed(
                f"the manifest names the output {min(absent)!r}, but the graph has {sorted(names)}"
            )
        session = OpenCvSession(net, manifest)
        try:
            run_on_zeros(session)
        except InferenceFailed as error:
            raise LoadFailed(f"{path.name} is not what the manifest says: {error}") from error
        return session


RUNTIME = OpenCvDnn()
