"""What goes wrong with builds and checks, and is told to nobody but who reported it."""

from __future__ import annotations


class OutcomeError(Exception):
    """What was delivered is not what it says; the sentence says where."""
