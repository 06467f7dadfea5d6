"""What can go wrong in the core, whose fault it is, and what a device reports of it."""

from __future__ import annotations

from typing import ClassVar

from inference_core.contract.words import FailureCause


class CoreError(Exception):
    """Base of all errors of the core; its text is one sentence for a person."""

    cause: ClassVar[FailureCause] = FailureCause.OTHER


class BadInput(CoreError):
    """The caller's fault: a file, a manifest or an argument. Trying again does not help."""


class NotNow(CoreError):
    """Nobody's input is bad: this machine has no room, or its disk fails. Later it may work."""


class CorruptPicture(BadInput):
    """The bytes are no picture that can be read whole. Never the model's fault."""


class RuntimeUnavailable(CoreError):
    """The library that executes the model is not installed; the text says what to install."""

    cause = FailureCause.LOAD_FAILED


class LoadFailed(CoreError):
    """The artifact does not load, or its graph is not what the manifest says."""

    cause = FailureCause.LOAD_FAILED


class InferenceFailed(CoreError):
    """The runtime gave up on one frame."""


class DecodeFailed(CoreError):
    """An output is not what the decoder can read, for example by its shape."""


class NotFinite(CoreError):
    """An output holds NaN or infinity: the model is broken on this frame."""

    cause = FailureCause.NOT_FINITE
