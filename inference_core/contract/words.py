"""Words that both sides use: one spelling, in one place."""

from __future__ import annotations

from enum import Enum


class Word(str, Enum):
    """A string enum whose ``str()`` is its value (``enum.StrEnum`` needs Python 3.11)."""

    __str__ = str.__str__


class Task(Word):
    """What a model is for. The decoder kinds that may serve a task are in ``manifest``."""

    CLASSIFICATION = "classification"
    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    ANOMALY = "anomaly"
    TEXT_DETECTION = "text_detection"
    TEXT_RECOGNITION = "text_recognition"


class RuntimeName(Word):
    """A library that executes a model. One file each in ``inference_core.runtimes``."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    OPENCV_DNN = "opencv_dnn"
    LITERT = "litert"
    TENSORRT = "tensorrt"
    FAKE = "fake"


class Precision(Word):
    """Arithmetic of an artifact. Searched and gated, never assumed."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class ComputeDevice(Word):
    """The part of a machine that computes, where a runtime has a choice of them: OpenVINO's."""

    CPU = "cpu"
    GPU = "gpu"
    NPU = "npu"
    MYRIAD = "myriad"


class VerdictWord(Word):
    """What is said of one part. A part is never judged PASS because something failed."""

    PASS = "pass"
    FAIL = "fail"


class DeploymentPhase(Word):
    """How far one device is in bringing a release into use; see ``docs/architecture.md``."""

    QUEUED = "queued"
    ACKNOWLEDGED = "acknowledged"
    DOWNLOADING = "downloading"
    VERIFIED = "verified"
    STAGED = "staged"
    WAITING_WINDOW = "waiting_window"
    ACTIVATING = "activating"
    PROBATION = "probation"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    TIMED_OUT = "timed_out"
    REMOVED = "removed"


TERMINAL_PHASES = frozenset(
    {
        DeploymentPhase.COMMITTED,
        DeploymentPhase.ROLLED_BACK,
        DeploymentPhase.FAILED,
        DeploymentPhase.REJECTED,
        DeploymentPhase.SUPERSEDED,
        DeploymentPhase.TIMED_OUT,
        DeploymentPhase.REMOVED,
    }
)
"""Phases that never change again."""


class FailureCause(Word):
    """Why a device gave up a release; gates and pages group by it."""

    DOWNLOAD = "download"
    UNTRUSTED = "untrusted"
    WRONG_PROFILE = "wrong_profile"
    OLD_COUNTER = "old_counter"
    DISK_FULL = "disk_full"
    LOAD_FAILED = "load_failed"
    CRASHED = "crashed"
    HUNG = "hung"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_FINITE = "not_finite"
    TOO_SLOW = "too_slow"
    NO_FRAMES = "no_frames"
    NO_CONTACT = "no_contact"
    DISAGREES = "disagrees"
    INTERRUPTED = "interrupted"
    OTHER = "other"
