"""Holds a release to its golden pictures: the same PASS or FAIL as the reference models give."""

from inference_core.optimize.golden.check import run_check

__all__ = ["run_check"]
