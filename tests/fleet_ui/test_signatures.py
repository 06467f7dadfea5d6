"""What waits for people is said where they look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from server.lib import clock
from server.trust import keys, services
from server.trust.models import MetadataFile
from server.trust.waiting import WaitsForSignature
from tests.faults.served_repository import released
from tests.fleet_ui.test_pages import text_of
from tests.fleet_ui.world import World
from tests.server.trust.ceremony import Ceremony

SignIn = Callable[[str], Client]
PROFILE = "x86-openvino"


@pytest.fixture
def ceremony(
    world: World, tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> Ceremony:
    settings.DATA = tmp_path / "data"
    ceremony = Ceremony(tmp_path, capsys)
    ceremony.ask_init(ceremony.keys())
    for role in ("root", "targets"):
        ceremony.sign(f"{role}-1.pem")
    ceremony.take_in()
    return ceremony


def test_the_overview_says_that_a_profile_waits_and_how_to_go_on(
    world: World, sign_in: SignIn, ceremony: Ceremony
) -> None:
    client = sign_in("ada")
    assert "waits for signatures" not in text_of(client, reverse("overview"))
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    text = text_of(client, reverse("overview"))
    assert f"New keys of profile-{PROFILE}" in text
    assert "python -m server trust request" in text
    assert "waits for the signature of targets" in text_of(
        client, reverse("release", args=["board-inspection-1"])
    )
    ceremony.ask()
    assert "waits for signatures" in text_of(client, reverse("overview"))


def test_a_second_signature_is_asked_of_a_person_by_name(
    world: World, sign_in: SignIn, ceremony: Ceremony
) -> None:
    with pytest.raises(WaitsForSignature):
        services.ensure_profile_role(PROFILE)
    ada = ceremony.person("Ada Lovelace")
    for words in ((), ("cosign", PROFILE, "--person", ada.with_suffix(".pub"))):
        ceremony.request.unlink(missing_ok=True)
        ceremony.run(*(words or ("request",)), "--to", ceremony.request)
        ceremony.sign("targets-1.pem")
        ceremony.take_in()
    with pytest.raises(WaitsForSignature):
        services.publish_targets(PROFILE, [released("board-inspection-1", profile=PROFILE)])
    client = sign_in("ada")
    for address in (reverse("overview"), reverse("trust")):
        assert "wait for a second signature by Ada Lovelace" in text_of(client, address)
    text = text_of(client, reverse("release", args=["board-inspection-1"]))
    assert "waits for a second signature by Ada Lovelace" in text


def test_what_ends_unless_somebody_acts_stands_first(
    world: World, sign_in: SignIn, ceremony: Ceremony
) -> None:
    soon = clock.now() + timedelta(days=20, hours=1)
    MetadataFile.objects.filter(role="root").update(expires_at=soon)
    text = text_of(sign_in("ada"), reverse("overview"))
    assert "The metadata of root ends in 20.0 days" in text
    assert text.index("metadata of root") < text.index("is held")
    assert "Overdue" in text_of(sign_in("ada"), reverse("trust"))
    assert not keys.has_key("root")
