"""Delivered after the commit, at least once, and never forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from server.lib import outbox
from server.lib.models import OutboxMessage
from server.lib.tasks import relay_outbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Payloads that reached the handler of topic ``test``."""
    payloads: list[dict[str, Any]] = []
    monkeypatch.setattr(outbox, "_handlers", dict(outbox._handlers))
    outbox.handler("test")(payloads.append)
    return payloads


def test_a_message_is_delivered_right_after_its_commit(delivered: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        outbox.enqueue("test", {"n": 1})
        assert delivered == []
    assert delivered == [{"n": 1}]
    assert not OutboxMessage.objects.exists()


def test_a_message_dies_with_its_transaction(delivered: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        outbox.enqueue("test", {})
        transaction.set_rollback(True)
    relay_outbox()
    assert delivered == []


def test_what_fails_stays_and_is_tried_again(
    delivered: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: dict[str, Any]) -> None:
        raise ConnectionError("the cache is away")

    with monkeypatch.context() as patch:
        patch.setitem(outbox._handlers, "test", broken)
        with transaction.atomic():
            outbox.enqueue("test", {"n": 1})
        assert OutboxMessage.objects.get().attempts == 1
    relay_outbox()
    assert delivered == [{"n": 1}]


def test_what_always_fails_blocks_no_other(delivered: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        outbox.enqueue("unheard of", {})
    OutboxMessage.objects.bulk_create(
        OutboxMessage(topic="test", payload={"n": n}, created_at="2026-11-22T00:00:00Z")
        for n in range(3)
    )
    assert outbox.relay(limit=3) == 3
    assert [payload["n"] for payload in delivered] == [0, 1, 2]
    assert OutboxMessage.objects.get().topic == "unheard of"


def test_what_a_handler_wrote_is_undone_when_it_fails(delivered: list[dict[str, Any]]) -> None:
    def half(_: dict[str, Any]) -> None:
        OutboxMessage.objects.create(topic="test", created_at="2026-11-22T00:00:00Z")
        raise ValueError("half way")

    outbox.handler("half")(half)
    with transaction.atomic():
        outbox.enqueue("half", {})
    assert OutboxMessage.objects.get().topic == "half"


def test_a_topic_has_one_handler(delivered: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="test"):
        outbox.handler("test")(print)
