"""Who may see a page: signed in, with a role, and only rows of the sites in scope."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers

from server.accounts.models import Role, User
from server.accounts.scope import has_role, site_names
from server.lib.errors import Forbidden, NotFound, Unavailable
from server.lib.problem import RETRY_AFTER_S, as_domain_error
from server.lib.requests import require_plain

P = ParamSpec("P")
Row = TypeVar("Row", bound=Model)
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

Sites = frozenset[str] | None
"""Names of the sites that somebody may see; None is every site."""


def page(view: View[P]) -> View[P]:
    """Serve ``view`` to people with a role; others are sent to sign in, or told what they lack."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if isinstance(request.user, AnonymousUser):
            return _to_sign_in(request)
        if not has_role(request.user, Role.VIEWER):
            raise PermissionDenied("Your account has no role yet. Ask an admin for one.")
        try:
            require_plain(request.POST)
            response = view(request, *args, **kwargs)
        except (Http404, PermissionDenied):
            raise
        except Exception as error:
            refusal = _refusal(request, error)
            if refusal is None:
                raise
            return refusal
        if not response.has_header("Cache-Control"):
            # A fragment and its page share an address, and neither may outlive the session.
            add_never_cache_headers(response)
            patch_vary_headers(response, ("HX-Request", "Cookie"))
        return response

    return guarded


def signed_in_user(request: HttpRequest) -> User:
    """The user of a request that passed ``page``."""
    if isinstance(request.user, User):
        return request.user
    raise PermissionDenied("Sign in first.")


def sites_of(request: HttpRequest) -> Sites:
    """What the viewer may see."""
    return site_names(request.user)


def within(rows: QuerySet[Row], sites: Sites, path: str) -> QuerySet[Row]:
    """``rows`` whose site, at the lookup ``path``, is in scope."""
    return rows if sites is None else rows.filter(**{f"{path}__in": sites})


def _refusal(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """A page that says what was wrong; None for what nobody foresaw."""
    known = as_domain_error(error)
    if isinstance(known, NotFound):
        raise Http404(known.detail) from error
    if isinstance(known, Forbidden):
        raise PermissionDenied(known.detail) from error
    if isinstance(known, Unavailable):
        return _not_now(known)
    if known is None:
        return None
    return render(request, "refused.html", {"detail": known.detail}, status=known.status)


def _not_now(error: Unavailable) -> HttpResponse:
    """Plain text: what is away may be what a page needs."""
    return HttpResponse(
        f"{error.detail}\n",
        status=503,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(RETRY_AFTER_S), "Cache-Control": "no-store"},
    )


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """A page redirects. A polled fragment must not swap a sign-in form into itself."""
    if request.headers.get("HX-Request") == "true":
        back = _shown_path(request.headers.get("HX-Current-URL", "/"))
        response = HttpResponse(status=200)
        response["HX-Redirect"] = f"{settings.LOGIN_URL}?{urlencode({'next': back})}"
        return response
    target = urlencode({"next": request.get_full_path()})
    return HttpResponseRedirect(f"{settings.LOGIN_URL}?{target}")


def _shown_path(address: str) -> str:
    """Path and query of the page that polls; the first page for what is no address."""
    try:
        shown = urlsplit(address)
    except ValueError:
        return "/"
    return f"{shown.path}?{shown.query}" if shown.query else shown.path
