"""The only writers of reviews of labels: asked for out of a comparison, answered by a person."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from server.accounts import audit
from server.comparisons.models import Comparison, PictureRow
from server.comparisons.selectors import pictures_of
from server.lib import clock
from server.lib.errors import Invalid
from server.lib.states import move
from server.review.models import LabelReview
from server.review.states import REVIEW, ReviewState

MAX_PICTURES = 500
MAX_NOTE = 1000


@dataclass(frozen=True)
class Asked:
    """How many pictures wait for a person now, and how many of the chosen did already."""

    pictures: int
    waited_already: int


@transaction.atomic
def request_reviews(*, comparison: Comparison, show: str, actor: str) -> Asked:
    """Ask for a look at the labels of the pictures that ``show`` chooses.

    Raises Invalid where there is no such picture, or more than ``MAX_PICTURES``.
    """
    chosen = list(pictures_of(comparison, show)[: MAX_PICTURES + 1])
    if not chosen:
        raise Invalid("There is no such picture: nothing was sent to review.")
    if len(chosen) > MAX_PICTURES:
        raise Invalid(
            f"These are more than {MAX_PICTURES} pictures, which nobody would look at. Choose "
            "those where only one version is wrong."
        )
    waiting = LabelReview.objects.filter(dataset=comparison.dataset, state=ReviewState.WAITING)
    known = set(waiting.values_list("image", flat=True))
    fresh = [picture for picture in chosen if picture.image not in known]
    # Somebody else may ask at the same moment: a picture waits once all the same.
    LabelReview.objects.bulk_create(
        (_review(comparison, picture, show, actor) for picture in fresh), ignore_conflicts=True
    )
    audit.record(
        actor=actor,
        action="request_reviews",
        subject="comparison",
        subject_id=str(comparison.pk),
        after={"show": show, "pictures": len(fresh)},
    )
    return Asked(len(fresh), len(chosen) - len(fresh))


@transaction.atomic
def answer_review(*, review: LabelReview, answer: ReviewState, note: str, actor: str) -> None:
    """Say that the label is right, or what it should be.

    Raises Invalid for a wrong label without a note, Conflict where it was answered already.
    """
    note = note.strip()
    if len(note) > MAX_NOTE:
        raise Invalid(f"A note has at most {MAX_NOTE} characters.")
    if answer == ReviewState.MISTAKEN and not note:
        raise Invalid("Say what the label should be: it is for the next version of the dataset.")
    now = clock.now()
    move(
        REVIEW, review, answer, actor=actor, reason=note,
        note=note, answered_at=now, answered_by=actor,
    )  # fmt: skip
    audit.record(
        actor=actor,
        action="answer",
        subject="label_review",
        subject_id=str(review.pk),
        reason=note,
        after={"state": str(answer), "dataset": str(review.dataset), "image": review.image},
    )


def _review(comparison: Comparison, picture: PictureRow, show: str, actor: str) -> LabelReview:
    return LabelReview(
        dataset=comparison.dataset,
        image=picture.image,
        picture=picture,
        why=show,
        asked_at=clock.now(),
        asked_by=actor,
    )
