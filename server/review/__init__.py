"""Sampled frames that people look at."""
