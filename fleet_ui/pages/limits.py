"""Sets the parity limits of a model, by the form on its page."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from fleet_ui.access import page, signed_in_user
from fleet_ui.pages.models import decides_limits, show_model
from fleet_ui.reads.limits import LABELS
from fleet_ui.reads.models import model_named
from inference_core.contract.build import ParityLimits
from server.accounts.actors import actor_of
from server.lib.errors import DomainError, Invalid
from server.lib.messages import read_data
from server.registry.limits import in_full
from server.registry.models import VisionModel
from server.registry.services import set_limits as set_them

MAX_TYPED = 2000


@require_POST
@page
def set_limits(request: HttpRequest, name: str) -> HttpResponse:
    """Take the form, or show the page again with all that was typed and what is wrong with it."""
    if not decides_limits(signed_in_user(request)):
        raise PermissionDenied("What is good enough is decided by an admin of all sites.")
    model = model_named(name)
    # PostgreSQL takes no NUL.
    form = {key: value[:MAX_TYPED] for key, value in request.POST.dict().items()}
    try:
        change = set_them(
            model=model,
            limits=_read(form, model),
            expected=_number(form.get("expected", "")),
            reason=form.get("reason", ""),
            actor=actor_of(request),
        )
    except DomainError as error:
        # Read again: the page shows what somebody else has decided meanwhile.
        return show_model(request, name, typed=form, problem=error)
    messages.success(request, f"Builds of {name} are held to these limits from now on.")
    return redirect(f"{reverse('model', args=[name])}#change-{change.number}")


def _read(form: dict[str, str], model: VisionModel) -> ParityLimits:
    today = in_full(model.limits)
    given = {name: _figure(form[name]) for name in LABELS if name in form}
    try:
        return read_data(ParityLimits, {**today, **given})
    except Invalid as error:
        first = error.extra["errors"][0]
        detail = f"{LABELS.get(first['path'], first['path'])}: {first['detail']}."
        raise Invalid(detail, **error.extra) from None


def _figure(typed: str) -> str | None:
    """Nothing is no limit; where there must be one, that is told."""
    return typed.strip() or None


def _number(typed: str) -> int:
    if not typed.isascii() or not typed.isdecimal() or len(typed) > 9:
        raise Invalid("This form is not one of this page; load the page again.")
    return int(typed)
