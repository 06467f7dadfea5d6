"""Runtimes move tensors: one file for each library that executes a model."""
