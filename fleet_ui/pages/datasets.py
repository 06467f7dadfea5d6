"""Datasets: the list, and one version with its labels, its users and some of its pictures."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET

from fleet_ui.access import page
from fleet_ui.live import render_live
from fleet_ui.pictures import picture_response
from fleet_ui.reads import datasets as reads
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.datasets.labels import count_labels
from server.datasets.models import DatasetItem, Purpose
from server.datasets.selectors import dataset_version, overlaps_of
from server.review.selectors import label_reviews
from server.review.states import ReviewState

PAGE_ROWS = 25


@require_GET
@page
def datasets(request: HttpRequest) -> HttpResponse:
    """All datasets; ``?purpose=`` filters."""
    wanted = request.GET.get("purpose", "")
    wanted = wanted if wanted in Purpose.values else ""
    pages = Paginator(reads.list_datasets(wanted), PAGE_ROWS)
    found = pages.get_page(request.GET.get("page"))
    context = {
        "page": found,
        "rows": reads.dataset_rows(found),
        "purposes": Purpose.values,
        "wanted": wanted,
        "may_upload": has_role(request.user, Role.RELEASER),
    }
    return render_live(request, "datasets", context)


@require_GET
@page
def dataset(request: HttpRequest, name: str, version: str) -> HttpResponse:
    """One version."""
    found = dataset_version(name, version)
    context = {
        "dataset": found,
        "labels": count_labels(found),
        "users": reads.users_of(found),
        "overlaps": overlaps_of(found),
        "mistaken": label_reviews().filter(dataset=found, state=ReviewState.MISTAKEN).count(),
        "pictures": reads.contact_sheet(found),
        "versions": reads.list_datasets().filter(name=name),
    }
    return render_live(request, "dataset", context)


@require_GET
@page
def picture(request: HttpRequest, name: str, version: str, item_id: int) -> HttpResponseBase:  # noqa: ARG001 - every role sees datasets
    """A picture of a dataset as it was uploaded."""
    items = DatasetItem.objects.filter(dataset__name=name, dataset__version=version)
    row = items.filter(pk=item_id).first()
    if row is None:
        raise Http404("There is no such picture.")
    return picture_response(row.image, row.image_sha256)
