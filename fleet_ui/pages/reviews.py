"""Labels that a person is asked to look at: the picture, its label, and what two versions say."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from fleet_ui.access import page
from fleet_ui.actions import told
from fleet_ui.live import render_live
from fleet_ui.reads.comparisons import picture_views
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.lib.errors import Forbidden, Invalid
from server.review import labels
from server.review.selectors import label_review, label_reviews
from server.review.states import REVIEW, ReviewState

PAGE_PICTURES = 10


@require_GET
@page
def reviews(request: HttpRequest) -> HttpResponse:
    """Those that wait, the oldest first; ``?state=`` shows what was said of others."""
    wanted = request.GET.get("state", "")
    wanted = wanted if wanted in ReviewState.values else str(ReviewState.WAITING)
    pages = Paginator(label_reviews().filter(state=wanted), PAGE_PICTURES)
    found = pages.get_page(request.GET.get("page"))
    views = picture_views(review.picture for review in found)
    context = {
        "page": found,
        "rows": list(zip(found, views, strict=True)),
        "states": ReviewState.values,
        "wanted": wanted,
        "may_answer": has_role(request.user, Role.OPERATOR),
    }
    return render_live(request, "label_reviews", context)


@require_POST
@page
def answer(request: HttpRequest, review_id: int) -> HttpResponse:
    """Say that the label is right, or what it should be."""
    if not has_role(request.user, Role.OPERATOR):
        raise Forbidden("Reviewing labels needs the role operator.")
    review = label_review(review_id)
    said = request.POST.get("answer", "")
    words = "right" if said == ReviewState.CONFIRMED else "wrong"
    with told(request, f"Noted: the label of {review.image} is {words}."):
        if said not in REVIEW.terminal:
            raise Invalid("Say whether the label is right or wrong.")
        labels.answer_review(
            review=review,
            answer=ReviewState(said),
            note=request.POST.get("note", ""),
            actor=actor_of(request),
        )
    return redirect("label-reviews")
