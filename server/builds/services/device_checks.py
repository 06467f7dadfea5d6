"""What a device's word is held to beyond a worker's: nobody of ours has seen its child run."""

from __future__ import annotations

from inference_core.contract.build import BuildOutcome, ParityLimits
from inference_core.contract.decoders import CtcDecoder
from inference_core.contract.manifest import ModelManifest
from server.builds.errors import OutcomeError
from server.builds.models import Build


def require_as_asked(build: Build, outcome: BuildOutcome, limits: ParityLimits) -> None:
    """OutcomeError where a success is told under other terms than the lease named.

    That the figures are true is not checked, because it cannot be: see the page on decisions.
    """
    certificate, manifest = outcome.certificate, outcome.manifest
    if outcome.outcome != "succeeded" or certificate is None or manifest is None:
        return  # what is absent is told of where every outcome is checked
    if _without_alphabet(manifest, build) != _without_alphabet(build.version.manifest, build):
        raise OutcomeError("the manifest is not the one that was asked for.")
    if certificate.precision not in build.profile.precisions:
        raise OutcomeError(f"{certificate.precision} is no precision of this profile.")
    if certificate.limits != limits:
        raise OutcomeError("the certificate was judged by other limits.")


def _without_alphabet(manifest: ModelManifest, build: Build) -> ModelManifest:
    """A build writes an alphabet out that only the model names; any other must be the same."""
    decoder = manifest.decoder
    asked = build.version.manifest.decoder
    if not isinstance(decoder, CtcDecoder) or not isinstance(asked, CtcDecoder):
        return manifest
    alphabet = decoder.alphabet
    if asked.alphabet is None:
        alphabet = None
    elif decoder.space_at_end and alphabet is not None:
        alphabet = (*alphabet, " ")
    plain = {"alphabet": alphabet, "alphabet_key": None, "space_at_end": False}
    return manifest.model_copy(update={"decoder": decoder.model_copy(update=plain)})
