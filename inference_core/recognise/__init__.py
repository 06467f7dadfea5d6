"""Makes a manifest for a model that came without one, from what its exporter wrote into it."""

from inference_core.recognise.lookup import draft_manifest, recognise

__all__ = ["draft_manifest", "recognise"]
