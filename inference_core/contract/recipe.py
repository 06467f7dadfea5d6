"""What a build depends on, so that the same is never built twice; and which machine may build."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Optional

from pydantic import Field

from inference_core.contract.base import Message, Sha256, Slug


class BuildRecipe(Message):
    """All that shapes the outcome of a build. Told by its child before it starts working.

    ``asked`` is the job without its places; ``engines`` are the keys of the candidates, which
    hold the exact tools and the machine; ``measured_on`` is the chip that decides which is fastest.
    """

    asked: dict[str, Any]
    engines: dict[str, Sha256] = Field(description="By precision.")
    tools: dict[str, str] = Field(description="Exact versions, by distribution or library.")
    measured_on: str


class ProfileFit(Message):
    """Whether a machine may build for a profile: its twin, or the reason why it is none."""

    profile: Slug
    problem: Optional[str] = Field(default=None, description="None: it builds and measures here.")


def key_of(recipe: Message) -> Sha256:
    """SHA-256 over a recipe as JSON with sorted names; what does not apply is left out."""
    document = recipe.model_dump(mode="json", exclude_none=True)
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
