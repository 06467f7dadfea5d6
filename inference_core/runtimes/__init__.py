"""Runtimes move tensors: one file for each library that executes a model."""

from inference_core.quiet import silence_telemetry

silence_telemetry()  # before any of the libraries is imported
