"""Which runtimes a build tries where nobody named one."""

from __future__ import annotations

import re

from inference_core.contract.build import BuildJob
from inference_core.contract.words import RuntimeName
from inference_core.runtimes.lookup import available

_WORDS: dict[str, RuntimeName] = {
    "ort": RuntimeName.ONNXRUNTIME,
    "onnxruntime": RuntimeName.ONNXRUNTIME,
    "openvino": RuntimeName.OPENVINO,
    "opencv": RuntimeName.OPENCV_DNN,
    "trt": RuntimeName.TENSORRT,
    "tensorrt": RuntimeName.TENSORRT,
    "litert": RuntimeName.LITERT,
    "tflite": RuntimeName.LITERT,
}
"""What the name of a hardware profile says of its runtime, as in ``rpi5-ort1.31``."""

_WORD = re.compile(r"([a-z]+)[0-9.]*")


def read_runtime(profile: str) -> RuntimeName | None:
    """The runtime that a profile's name implies; None where it implies none, or two."""
    words = (_WORD.fullmatch(part) for part in profile.split("-"))
    named = {_WORDS[word[1]] for word in words if word is not None and word[1] in _WORDS}
    return named.pop() if len(named) == 1 else None


def spread(job: BuildJob) -> list[BuildJob]:
    """The job once for each runtime that computes on this machine, the given one's place taken.

    TensorRT and accelerators want to be named: what they build for is more than this machine.
    """
    here = [name for name, found in available().items() if found.version is not None]
    tried = [name for name in here if name is not RuntimeName.TENSORRT]
    return [
        job.model_copy(update={"profile": job.profile.model_copy(update={"runtime": name})})
        for name in tried
    ]
