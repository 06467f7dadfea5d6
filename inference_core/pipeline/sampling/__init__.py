"""Which frames people are shown: probabilities that are known before the draw."""

from inference_core.pipeline.sampling.sampler import ALL_THAT_IS_WANTED, Sampler

__all__ = ["ALL_THAT_IS_WANTED", "Sampler"]
