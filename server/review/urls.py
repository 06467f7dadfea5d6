"""Addresses of this app's API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from server.review.api import DeviceSamplesView, SampleImageView
from server.review.label_api import AnswerReviewView, LabelReviewsView, RequestReviewsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("devices/<uuid:device_id>/samples", DeviceSamplesView.as_view()),
    path("samples/<int:sample_id>/image", SampleImageView.as_view()),
    path("label-reviews", LabelReviewsView.as_view()),
    path("label-reviews/<int:review_id>/answer", AnswerReviewView.as_view()),
    path("comparisons/<int:comparison_id>/reviews", RequestReviewsView.as_view()),
]
