"""An address that leads nowhere answers in the language of its caller."""

import pytest
from django.test import Client


@pytest.mark.parametrize("address", ["/api/v1/nothing-here", "/device/v1/nothing-here"])
def test_a_program_gets_a_problem_document(client: Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_a_person_gets_a_page(client: Client) -> None:
    answer = client.get("/nothing-here/")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
