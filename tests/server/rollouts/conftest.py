"""What the tests of rollouts share."""

from __future__ import annotations

import pytest

from tests.server.rollouts.plant import Plant


@pytest.fixture
def plant(db: None) -> Plant:
    """A site with a line and an empty group."""
    return Plant()
