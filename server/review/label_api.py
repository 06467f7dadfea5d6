"""REST API of reviews of labels: ask for them out of a comparison, list them, answer them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.permissions import RoledView
from server.comparisons.selectors import Show, comparison
from server.datasets.models import DatasetVersion
from server.lib.fields import Body
from server.lib.pagination import pages_by
from server.review import labels, selectors
from server.review.models import LabelReview
from server.review.states import ReviewState


class ReviewRequest(Body):
    """Which pictures of the comparison."""

    show = serializers.ChoiceField(choices=Show.choices)


class ReviewsAsked(serializers.Serializer[Any]):
    """How many wait now, and how many did already."""

    pictures = serializers.IntegerField()
    waited_already = serializers.IntegerField()


class ReviewAnswer(Body):
    """Whether the label is right; a note says what it should be."""

    answer = serializers.ChoiceField(choices=[ReviewState.CONFIRMED, ReviewState.MISTAKEN])
    note = serializers.CharField(max_length=labels.MAX_NOTE, allow_blank=True, default="")


class ReviewedDataset(serializers.ModelSerializer[DatasetVersion]):
    """The dataset that the label belongs to."""

    class Meta:
        model = DatasetVersion
        fields = ("name", "version")


class LabelReviewSerializer(serializers.ModelSerializer[LabelReview]):
    """A label under review, with what both versions say of the picture."""

    dataset = ReviewedDataset()
    comparison = serializers.IntegerField(source="picture.comparison_id")
    compared = serializers.DictField(source="picture.body", help_text="A ComparedPicture.")

    class Meta:
        model = LabelReview
        fields = (
            "id", "dataset", "image", "comparison", "why", "state", "note", "asked_at", "asked_by",
            "answered_at", "answered_by", "compared",
        )  # fmt: skip


@extend_schema(tags=["review"])
class LabelReviewsView(RoledView, ListAPIView[LabelReview]):
    """``label-reviews``: those that wait, and what was said of others."""

    serializer_class = LabelReviewSerializer
    filterset_fields = ["state", "dataset__name", "dataset__version"]
    pagination_class = pages_by("id")

    def get_queryset(self) -> QuerySet[LabelReview]:
        """Datasets belong to no site: every role sees them."""
        return selectors.label_reviews()


@extend_schema(tags=["review"])
class RequestReviewsView(RoledView):
    """``comparisons/{id}/reviews``."""

    write_role = Role.OPERATOR

    @extend_schema(request=ReviewRequest, responses={201: ReviewsAsked})
    def post(self, request: Request, comparison_id: int) -> Response:
        """Ask for a look at the labels of some pictures of a comparison."""
        form = ReviewRequest(data=request.data)
        form.is_valid(raise_exception=True)
        asked = labels.request_reviews(
            comparison=comparison(comparison_id),
            show=form.validated_data["show"],
            actor=actor_of(request),
        )
        return Response(ReviewsAsked(asked).data, status.HTTP_201_CREATED)


@extend_schema(tags=["review"])
class AnswerReviewView(RoledView):
    """``label-reviews/{id}/answer``."""

    write_role = Role.OPERATOR

    @extend_schema(request=ReviewAnswer, responses=LabelReviewSerializer)
    def post(self, request: Request, review_id: int) -> Response:
        """Say that the label is right, or what it should be; 409 where it was said already."""
        form = ReviewAnswer(data=request.data)
        form.is_valid(raise_exception=True)
        review = selectors.label_review(review_id)
        labels.answer_review(
            review=review,
            answer=ReviewState(form.validated_data["answer"]),
            note=form.validated_data["note"],
            actor=actor_of(request),
        )
        return Response(LabelReviewSerializer(review).data)
