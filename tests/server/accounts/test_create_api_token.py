"""The first API token comes from the console."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from server.accounts.models import User

pytestmark = pytest.mark.django_db


def test_the_printed_token_opens_the_api(client: Client) -> None:
    User.objects.create_user("ada")
    printed = StringIO()
    call_command("create_api_token", "ada", "ci", stdout=printed)
    answer = client.get(
        "/api/v1/me", headers={"Authorization": f"Bearer {printed.getvalue().strip()}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("arguments", [("nobody", "ci"), ("ada", "ci", "--days", "0")])
def test_a_wrong_call_makes_no_token(arguments: tuple[str, ...]) -> None:
    ada = User.objects.create_user("ada")
    with pytest.raises(CommandError):
        call_command("create_api_token", *arguments)
    assert not ada.api_tokens.exists()
