"""Pages whose middle is polled: the whole page first, then its fragment under an ETag."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render

MOVING_S, CALM_S = 5, 30

_CSRF = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"')


def render_live(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, is_moving: bool = False
) -> HttpResponse:
    """``template``.html as a page, or ``template``_live.html alone for a poll.

    A poll that would bring the same fragment gets 304. The fragment comes back every 5 s where
    something moves and every 30 s elsewhere. ``live_url`` is where it is, if not here.
    """
    whole = {
        **context,
        "fragment": f"fleet_ui/{template}_live.html",
        "poll_s": MOVING_S if is_moving else CALM_S,
        "live_url": context.get("live_url", request.get_full_path()),
    }
    if request.headers.get("HX-Request") != "true":
        return render(request, f"fleet_ui/{template}.html", whole)
    response = render(request, "fleet_ui/live.html", whole)
    # Django masks the CSRF token anew in every response: it is no change worth showing.
    digest = hashlib.sha256(_CSRF.sub(b"", response.content)).hexdigest()
    etag = f'"{digest[:32]}"'
    if request.headers.get("If-None-Match") == etag:
        unchanged = HttpResponseNotModified()
        unchanged["ETag"] = etag
        return unchanged
    response["ETag"] = etag
    return response
