"""Signing in and out. Guessing is slowed down by counters for addresses, names, and both together.

A name alone is counted far more patiently: else any stranger could lock out whom they can name.
"""

from __future__ import annotations

import hashlib

from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from server.lib.requests import address_of

MAX_FAILURES, MAX_FAILURES_OF_ADDRESS, MAX_FAILURES_OF_NAME = 10, 50, 100
"""Of a name from an address; of an address, which may be a factory's; of a name from anywhere."""

FORGET_AFTER_S = 300


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The form; 429 until there was no failure for five minutes, where there were too many."""
    target = _safe_target(request)
    if request.user.is_authenticated:
        return redirect(target)
    if request.method == "GET":
        return _show(request, AuthenticationForm(request), target)
    limits = _limits(request)
    if any(cache.get(key, 0) >= limit for key, limit in limits.items()):
        return _show(request, AuthenticationForm(request), target, is_locked=True)
    form = AuthenticationForm(request, data=request.POST)
    if not form.is_valid():
        for key in limits:
            _count(key)
        return _show(request, form, target)
    login(request, form.get_user())
    cache.delete(_pair_key(request))
    return redirect(target)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session."""
    logout(request)
    return redirect("sign-in")


def _show(
    request: HttpRequest, form: AuthenticationForm, target: str, *, is_locked: bool = False
) -> HttpResponse:
    context = {"form": form, "next": target, "is_locked": is_locked}
    status = 429 if is_locked else 422 if form.is_bound else 200
    return render(request, "fleet_ui/sign_in.html", context, status=status)


def _limits(request: HttpRequest) -> dict[str, int]:
    return {
        _pair_key(request): MAX_FAILURES,
        f"sign-in:address:{address_of(request)}": MAX_FAILURES_OF_ADDRESS,
        f"sign-in:name:{_name_mark(request)}": MAX_FAILURES_OF_NAME,
    }


def _pair_key(request: HttpRequest) -> str:
    return f"sign-in:pair:{address_of(request)}:{_name_mark(request)}"


def _name_mark(request: HttpRequest) -> str:
    # A digest: whatever somebody types as a name must not become part of a cache key.
    name = request.POST.get("username", "").lower().encode()
    return hashlib.sha256(name).hexdigest()


def _count(key: str) -> None:
    # Two failures at the same instant may count as one: the limit is a brake, not an account.
    cache.set(key, cache.get(key, 0) + 1, FORGET_AFTER_S)


def _safe_target(request: HttpRequest) -> str:
    target = request.POST.get("next") or request.GET.get("next") or "/"
    is_ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if is_ours else "/"
