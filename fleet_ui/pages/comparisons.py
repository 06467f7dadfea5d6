"""Compare: ask for two versions on the same pictures, and see who is wrong where."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from fleet_ui.access import page
from fleet_ui.live import render_live
from fleet_ui.pictures import picture_response
from fleet_ui.reads import comparisons as reads
from inference_core.contract.compare import CompareFigures
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.comparisons import selectors
from server.comparisons.models import Comparison, PictureRow
from server.comparisons.services import request_comparison
from server.datasets.models import DatasetVersion
from server.datasets.selectors import datasets
from server.lib.errors import DomainError, Forbidden, Invalid
from server.registry.models import ModelVersion
from server.review.labels import MAX_PICTURES, request_reviews
from server.review.selectors import label_reviews
from server.review.states import ReviewState

PAGE_ROWS, PAGE_PICTURES = 50, 12


@require_http_methods(["GET", "HEAD", "POST"])
@page
def comparisons(request: HttpRequest) -> HttpResponse:
    """All comparisons and the form for another; ``?a=`` and ``?b=`` choose in it."""
    may_ask = has_role(request.user, Role.RELEASER)
    if request.method == "POST":
        if not may_ask:
            raise Forbidden("Comparing versions needs the role releaser.")
        return _ask(request)
    found = Paginator(selectors.comparisons(), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "page": found,
        "choices": reads.choices() if may_ask else {},
        "datasets": datasets().order_by("name", "-pk") if may_ask else [],
        "may_ask": may_ask,
        "chosen": {side: request.GET.get(side, "") for side in ("a", "b")},
    }
    is_moving = any(reads.is_moving(row) for row in found)
    return render_live(request, "comparisons", context, is_moving=is_moving)


@require_GET
@page
def comparison(request: HttpRequest, comparison_id: int) -> HttpResponse:
    """One comparison; ``?show=`` filters its pictures."""
    row = selectors.comparison(comparison_id)
    show = request.GET.get("show", "")
    show = show if show in selectors.Show.values else str(selectors.Show.ALL)
    figures = row.figures
    pages = Paginator(selectors.pictures_of(row, show), PAGE_PICTURES)
    found = pages.get_page(request.GET.get("page"))
    context = {
        "row": row,
        "figures": figures,
        "classes": reads.class_rows(figures) if figures else [],
        "odds": reads.odds(figures) if figures else None,
        "metric": reads.METRIC_WORDS[figures.metric] if figures else "",
        "latencies": reads.latencies(row),
        "tabs": reads.tabs(figures) if figures else [],
        "show": show,
        **_next_of(request, row, figures),
        "chosen": show if show != selectors.Show.ALL else str(selectors.Show.DISAGREE),
        "page": found,
        "pictures": reads.picture_views(found),
    }
    return render_live(request, "comparison", context, is_moving=reads.is_moving(row))


@require_GET
@page
def picture(request: HttpRequest, comparison_id: int, picture_id: int) -> HttpResponseBase:  # noqa: ARG001 - every role sees datasets
    """A picture of a comparison as it lies in the dataset; it never changes."""
    row = PictureRow.objects.filter(comparison=comparison_id, pk=picture_id).first()
    if row is None:
        raise Http404("There is no such picture.")
    return picture_response(row.image, row.image_sha256)


@require_POST
@page
def send_to_review(request: HttpRequest, comparison_id: int) -> HttpResponse:
    """Ask for a look at the labels of some of its pictures."""
    if not has_role(request.user, Role.OPERATOR):
        raise Forbidden("Sending pictures to review needs the role operator.")
    row = selectors.comparison(comparison_id)
    show = request.POST.get("show", "")
    try:
        if show not in selectors.Show.values:
            raise Invalid("Choose which pictures.")
        asked = request_reviews(comparison=row, show=show, actor=actor_of(request))
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        already = f" {asked.waited_already} waited already." if asked.waited_already else ""
        pictures = "1 picture" if asked.pictures == 1 else f"{asked.pictures} pictures"
        messages.success(request, f"{pictures} sent to review.{already}")
    return redirect("comparison", comparison_id=row.pk)


def _next_of(
    request: HttpRequest, row: Comparison, figures: CompareFigures | None
) -> dict[str, object]:
    """What somebody may do with the result."""
    if figures is None:
        return {}
    sides = [{"letter": "A", "version": row.a}, {"letter": "B", "version": row.b}]
    return {
        "better": reads.better_of(figures),
        "sides": sides,
        "may_release": has_role(request.user, Role.RELEASER),
        "may_review": has_role(request.user, Role.OPERATOR),
        "reviewable": [tab for tab in reads.tabs(figures) if 0 < tab.count <= MAX_PICTURES],
        "waiting": label_reviews().filter(dataset=row.dataset, state=ReviewState.WAITING).count(),
    }


def _ask(request: HttpRequest) -> HttpResponse:
    try:
        row = request_comparison(
            a=_version(request, "a"),
            b=_version(request, "b"),
            dataset=_dataset(request),
            actor=actor_of(request),
        )
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("comparisons")
    return redirect("comparison", comparison_id=row.pk)


def _version(request: HttpRequest, side: str) -> ModelVersion:
    number = _number(request, side)
    found = ModelVersion.objects.select_related("model__golden").filter(pk=number).first()
    if found is None:
        raise Invalid(f"Choose a version for {side.upper()}.")
    return found


def _dataset(request: HttpRequest) -> DatasetVersion | None:
    if not request.POST.get("dataset"):
        return None
    found = DatasetVersion.objects.filter(pk=_number(request, "dataset")).first()
    if found is None:
        raise Invalid("There is no such dataset.")
    return found


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
