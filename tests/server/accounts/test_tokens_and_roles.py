"""Who may call, and how far their rights reach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.test import APIClient

from server.accounts.models import ApiToken, AuditEntry, Role, User
from server.accounts.scope import has_role, site_names
from server.accounts.services import (
    assign_role,
    create_api_token,
    digest_token,
    ensure_admin,
    revoke_api_token,
)
from server.lib import clock
from server.lib.errors import Conflict, Invalid

pytestmark = pytest.mark.django_db

ME = "/api/v1/me"
Somebody = Callable[..., APIClient]


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada")


def bearer(token: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {token}"})


def test_a_token_is_told_once_and_stored_as_its_digest(ada: User) -> None:
    token = create_api_token(user=ada, name="ci", actor="test")
    row = ApiToken.objects.get()
    assert token.startswith("lw_")
    assert len(token) >= 43
    assert row.digest == digest_token(token)
    assert token not in str(AuditEntry.objects.values_list())


def test_me_tells_who_i_am(ada: User) -> None:
    assign_role(user=ada, role=Role.OPERATOR, site="works", actor="test")
    answer = bearer(create_api_token(user=ada, name="ci", actor="test")).get(ME)
    assert answer.json() == {
        "username": "ada",
        "is_superuser": False,
        "roles": [{"role": "operator", "site": "works"}],
    }


def test_a_stranger_gets_401_and_is_told_how(db: None) -> None:
    answer = APIClient().get(ME)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 401


def test_wrong_expired_revoked_and_inactive_get_one_answer(ada: User) -> None:
    expired = create_api_token(
        user=ada, name="old", expires_at=clock.now() + timedelta(hours=1), actor="test"
    )
    ApiToken.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    revoked = create_api_token(user=ada, name="lost", actor="test")
    revoke_api_token(token=ApiToken.objects.get(name="lost"), actor="test", reason="lost")
    gone = User.objects.create_user("gone", is_active=False)
    inactive = create_api_token(user=gone, name="ci", actor="test")
    tokens = [expired, revoked, inactive, "lw_wrong", "eyJhbGciOi", "ü", ""]
    answers = [bearer(token).get(ME) for token in tokens]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


def test_a_token_that_would_be_expired_is_not_made(ada: User) -> None:
    with pytest.raises(Invalid):
        create_api_token(user=ada, name="ci", expires_at=clock.now(), actor="test")


def test_each_role_includes_those_before_it(ada: User) -> None:
    assign_role(user=ada, role=Role.RELEASER, site="works", actor="test")
    may = [role for role in Role if has_role(ada, role, "works")]
    assert may == [Role.VIEWER, Role.OPERATOR, Role.RELEASER]


def test_a_role_reaches_its_site_and_no_other(ada: User) -> None:
    assign_role(user=ada, role=Role.ADMIN, site="works", actor="test")
    assert has_role(ada, Role.ADMIN)
    assert not has_role(ada, Role.VIEWER, "elsewhere")
    assert site_names(ada, Role.ADMIN) == {"works"}


def test_a_role_without_a_site_reaches_all(ada: User) -> None:
    assign_role(user=ada, role=Role.VIEWER, actor="test")
    assert site_names(ada) is None
    assert site_names(ada, Role.OPERATOR) == frozenset()


def test_a_new_role_takes_the_place_of_the_old_one(ada: User) -> None:
    for role in (Role.ADMIN, Role.VIEWER):
        assign_role(user=ada, role=role, site="works", actor="test")
    assert not has_role(ada, Role.OPERATOR, "works")


def test_strangers_and_the_inactive_have_no_role(ada: User) -> None:
    assign_role(user=ada, role=Role.ADMIN, actor="test")
    ada.is_active = False
    assert not has_role(ada, Role.VIEWER)
    assert not has_role(AnonymousUser(), Role.VIEWER)


def test_the_first_admin_is_made_once(db: None) -> None:
    admin = ensure_admin(username="root", password="correct horse battery", actor="installer")
    again = ensure_admin(username="root", password="another one altogether", actor="installer")
    assert (admin.pk, admin.is_superuser) == (again.pk, True)
    assert User.objects.get().check_password("correct horse battery")
    assert site_names(admin, Role.ADMIN) is None


def test_a_weak_password_and_a_taken_name_are_refused(ada: User) -> None:
    with pytest.raises(Invalid):
        ensure_admin(username="root", password="password", actor="installer")
    with pytest.raises(Conflict):
        ensure_admin(username="ada", password="correct horse battery", actor="installer")
    assert User.objects.count() == 1


def test_the_audit_log_names_the_program_that_acts_for_a_person(somebody: Somebody) -> None:
    body = {"name": "works", "title": "Works"}
    assert somebody(Role.ADMIN).post("/api/v1/sites", body).status_code == 201
    entry = AuditEntry.objects.get(subject="site")
    assert (entry.actor, entry.action, entry.subject_id) == ("token:ci of ada", "create", "works")
