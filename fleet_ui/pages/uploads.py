"""Upload a version: a plain form, which a module turns into an upload that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods
from rest_framework.serializers import Serializer

from fleet_ui.access import page, signed_in_user
from server.accounts.actors import actor_of
from server.accounts.models import Role
from server.accounts.scope import has_role
from server.lib.errors import DomainError, Forbidden, Invalid, TooLarge
from server.lib.uploads import FORM_BYTES
from server.registry.models import ModelVersion, VisionModel
from server.registry.selectors import model as model_named
from server.registry.services import upload_version
from server.uploads.kinds import VersionForm
from server.uploads.selectors import uploads_of

LAST_UPLOADS = 5
TYPED = ("version", "notes", "licence", "parent", "trained_on")


@csrf_exempt  # the form inside is protected; a body that is too long must not be read for its token
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest, name: str) -> HttpResponseBase:
    """The form, or the upload without JavaScript."""
    back = reverse("upload-version", args=[name])
    return turn_away(request, settings.ENV.max_model_bytes, back) or _protected(request, name)


def turn_away(request: HttpRequest, limit: int, back: str) -> HttpResponseBase | None:
    """Back to the form where the announced body is too long, before any of it is read."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    if announced.isdecimal() and int(announced) > limit + FORM_BYTES:
        messages.error(request, f"The file is too large; {limit} bytes are taken.")
        return HttpResponseRedirect(back)
    return None


def first_error(form: Serializer[Any]) -> Invalid:
    """What is wrong with a form, as a sentence."""
    field, errors = next(iter(form.errors.items()))
    return Invalid(f"{str(field).capitalize()}: {errors[0]}")


@csrf_protect
@page
def _protected(request: HttpRequest, name: str) -> HttpResponse:
    if not has_role(request.user, Role.RELEASER):
        raise Forbidden("Uploading a version needs the role releaser.")
    model = model_named(name)
    if request.method != "POST":
        return _form(request, model, {})
    try:
        version = _upload(request, model)
    except DomainError as error:
        return _form(request, model, request.POST, error)
    messages.success(request, f"{version} is here; its builds start by themselves.")
    return redirect(f"{reverse('model', args=[name])}?version={version.version}")


def _upload(request: HttpRequest, model: VisionModel) -> ModelVersion:
    manifest, file = request.FILES.get("manifest"), request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise Invalid("Choose the ONNX file.")
    text = _text(manifest) if isinstance(manifest, UploadedFile) else ""
    fields = {"model": model.name, "manifest": text}
    fields |= {key: request.POST.get(key, "") for key in TYPED}
    form = VersionForm(data=fields)
    if not form.is_valid():
        raise first_error(form)
    given = {key: value for key, value in form.validated_data.items() if key != "model"}
    return upload_version(
        model=model,
        chunks=file.chunks(),
        max_bytes=settings.ENV.max_model_bytes,
        actor=actor_of(request),
        **given,
    )


def _text(file: UploadedFile) -> str:
    if (file.size or 0) > FORM_BYTES // 2:
        raise TooLarge("The manifest is too large to be one.")
    try:
        return str(file.read().decode())
    except UnicodeDecodeError:
        raise Invalid("The manifest is no text; it is JSON in UTF-8.") from None


def _form(
    request: HttpRequest,
    model: VisionModel,
    values: Mapping[str, Any],
    problem: DomainError | None = None,
) -> HttpResponse:
    found = uploads_of(signed_in_user(request)).filter(form__model=model.name)
    context = {
        "model": model,
        "values": values,
        "problem": problem,
        "max_bytes": settings.ENV.max_model_bytes,
        "uploads": found[:LAST_UPLOADS],
    }
    status = problem.status if problem else 200
    return render(request, "fleet_ui/upload.html", context, status=status)
