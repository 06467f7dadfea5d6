"""From a model to a certified artifact: convert, quantise, bench, hold to parity, choose."""

from inference_core.quiet import silence_telemetry

silence_telemetry()  # before any of the libraries is imported
