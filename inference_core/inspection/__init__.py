"""Looks at an uploaded ONNX without trusting a byte of it.

Nothing is imported here: ``sandbox`` must be entered before onnx and numpy start threads.
"""
