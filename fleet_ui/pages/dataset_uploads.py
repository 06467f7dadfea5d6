"""Upload a dataset: a plain form, which a module turns into an upload that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from fleet_ui.access import page, signed_in_user
from fleet_ui.pages.uploads import LAST_UPLOADS, first_error, turn_away
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.datasets.models import DatasetVersion, Purpose
from server.datasets.selectors import datasets
from server.datasets.services import upload_dataset
from server.lib.errors import DomainError, Forbidden, Invalid
from server.uploads.kinds import DatasetForm
from server.uploads.models import UploadKind
from server.uploads.selectors import uploads_of

SHOWN_NAMES = 200
TYPED = ("name", "version", "purpose", "notes")


@csrf_exempt  # the form inside is protected; a body that is too long must not be read for its token
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponseBase:
    """The form, or the upload without JavaScript."""
    back = reverse("upload-dataset")
    return turn_away(request, settings.ENV.max_dataset_bytes, back) or _protected(request)


@csrf_protect
@page
def _protected(request: HttpRequest) -> HttpResponse:
    if not has_role(request.user, Role.RELEASER):
        raise Forbidden("Uploading a dataset needs the role releaser.")
    if request.method != "POST":
        return _form(request, request.GET)
    try:
        dataset = _upload(request)
    except DomainError as error:
        return _form(request, request.POST, error)
    messages.success(request, f"{dataset} is here.")
    return redirect("dataset", name=dataset.name, version=dataset.version)


def _upload(request: HttpRequest) -> DatasetVersion:
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile) or file.file is None:
        raise Invalid("Choose the zip.")
    form = DatasetForm(data={key: request.POST.get(key, "") for key in TYPED})
    if not form.is_valid():
        raise first_error(form)
    return upload_dataset(
        **form.validated_data,
        file=file.file,
        max_bytes=settings.ENV.max_dataset_bytes,
        actor=actor_of(request),
    )


def _form(
    request: HttpRequest, values: Mapping[str, Any], problem: DomainError | None = None
) -> HttpResponse:
    mine = uploads_of(signed_in_user(request)).filter(kind=UploadKind.DATASET)
    context = {
        "values": values,
        "problem": problem,
        "max_bytes": settings.ENV.max_dataset_bytes,
        "uploads": mine[:LAST_UPLOADS],
        "purposes": Purpose.values,
        "names": datasets()
        .order_by("name")
        .values_list("name", flat=True)
        .distinct()[:SHOWN_NAMES],
        "done": f"{reverse('datasets')}{{name}}/{{version}}/",
    }
    status = problem.status if problem else 200
    return render(request, "fleet_ui/upload_dataset.html", context, status=status)
