"""Reads of comparisons. Models and datasets belong to no site, so every role sees them."""

from __future__ import annotations

from django.db import models
from django.db.models import QuerySet

from server.comparisons.models import Comparison, PictureRow
from server.lib.errors import NotFound


class Show(models.TextChoices):
    """Which pictures."""

    ALL = "all", "All"
    ONLY_A = "only-a-wrong", "Only A wrong"
    ONLY_B = "only-b-wrong", "Only B wrong"
    BOTH = "both-wrong", "Both wrong"
    DISAGREE = "disagree", "Disagree"


_FILTERS: dict[str, dict[str, bool]] = {
    Show.ALL: {},
    Show.ONLY_A: {"a_is_right": False, "b_is_right": True},
    Show.ONLY_B: {"a_is_right": True, "b_is_right": False},
    Show.BOTH: {"a_is_right": False, "b_is_right": False},
    Show.DISAGREE: {"agrees": False},
}


def comparisons() -> QuerySet[Comparison]:
    """All of them, the newest first."""
    return Comparison.objects.select_related("a__model", "b__model", "dataset")


def comparison(comparison_id: int) -> Comparison:
    """One comparison; NotFound where there is none."""
    row = comparisons().filter(pk=comparison_id).first()
    if row is None:
        raise NotFound(f"There is no comparison {comparison_id}.")
    return row


def pictures_of(row: Comparison, show: str = Show.ALL) -> QuerySet[PictureRow]:
    """The pictures that ``show`` asks for, in the order of the dataset's names."""
    return row.pictures.filter(**_FILTERS[show])
