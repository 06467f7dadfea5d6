"""What a clock must not say."""

from __future__ import annotations

from datetime import datetime, timezone

EARLIEST = datetime(2026, 11, 1, tzinfo=timezone.utc)
"""This code is not older. A box that has never had the time right knows at least this, so that
expired metadata cannot look fresh to it in 1970; moved on with releases."""
