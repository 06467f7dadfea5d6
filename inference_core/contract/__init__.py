"""What crosses the wire or lies in a bundle: pydantic models, no other import of ours.

Rules that keep old agents working: unknown fields are ignored, new fields have defaults, and
a golden JSON file per message and version (``tests/contract/golden``) holds both sides to it.
"""
