"""Samples within the caller's sites, and reviews of labels, which belong to no site."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from server.accounts.models import User
from server.accounts.scope import site_names
from server.lib.errors import NotFound
from server.review.models import LabelReview, Sample


def samples_for(user: User | AnonymousUser) -> QuerySet[Sample]:
    """Samples of devices at sites that ``user`` may see, the newest first."""
    names = site_names(user)
    samples = Sample.objects.select_related("device")
    return samples if names is None else samples.filter(device__line__site__name__in=names)


def sample_for(user: User | AnonymousUser, sample_id: int) -> Sample:
    """One sample; NotFound outside the caller's scope."""
    sample = samples_for(user).filter(pk=sample_id).first()
    if sample is None:
        raise NotFound("There is no such sample in your scope.")
    return sample


def label_reviews() -> QuerySet[LabelReview]:
    """All reviews of labels, in the order in which they were asked for."""
    return LabelReview.objects.select_related("dataset", "picture__comparison")


def label_review(review_id: int) -> LabelReview:
    """One review of a label; NotFound where there is none."""
    review = label_reviews().filter(pk=review_id).first()
    if review is None:
        raise NotFound("There is no such review.")
    return review
