"""Somebody who sends whatever comes to mind, and looks at every answer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.test import Client

from server.accounts.models import AuditEntry
from tests.server.doors import Door

EVERYTHING, STRIDE = "LINEWARDEN_TEST_EVERYTHING" in os.environ, 5
WRITING = ("POST", "PUT", "PATCH", "DELETE")


@dataclass
class Caller:
    """Somebody who may do a lot, and what became of every request."""

    client: Client
    headers: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    count: int = 0
    audited: int = 0

    def send(self, door: Door, verb: str, address: str, **given: Any) -> HttpResponse:
        """Send it, and look at the answer."""
        headers = self.headers | given.pop("headers", {})
        body, kind = given.get("body", b""), given.get("kind", "application/json")
        answer: HttpResponse = self.client.generic(verb, address, body, kind, headers=headers)
        self.count += 1
        audited = AuditEntry.objects.count()
        problem = _problem(door, verb, answer)
        if answer.status_code >= 400 and audited != self.audited:
            problem = problem or "was refused, and something was written all the same"
        self.audited = audited
        if problem:
            told = f"{headers} {kind} {body[:200]!r}"
            self.failures.append(f"{verb} {address[:200]} {answer.status_code} {problem}: {told}")
        return answer

    def verbs(self, door: Door, address: str) -> list[str]:
        """Those that write, as the door itself says."""
        answer = self.send(door, "BREW", address)
        allowed = [verb.strip() for verb in answer.headers.get("Allow", "").split(",")]
        return [verb for verb in WRITING if verb in allowed]


def _problem(door: Door, verb: str, answer: HttpResponse) -> str:
    """What is wrong with an answer; nothing for most."""
    if answer.status_code >= 500 and answer.status_code != 503:
        return "is a crash"
    if answer.status_code < 400 or verb == "HEAD":
        return ""
    if not door.is_for_programs:
        return "" if answer.content else "says nothing"
    if answer.headers.get("Content-Type") != "application/problem+json":
        return "is no problem document"
    body = json.loads(answer.content)
    return "" if body["detail"] and body["status"] == answer.status_code else "says nothing"


def some(everything: Sequence[Any], number: int) -> Sequence[Any]:
    """Every fifth, other ones for each ``number``: what one door is spared the next one gets.

    All of it with ``LINEWARDEN_TEST_EVERYTHING`` in the environment, for a quarter of an hour.
    """
    return everything if EVERYTHING else everything[number % STRIDE :: STRIDE]


def check(caller: Caller) -> None:
    told = "\n".join(caller.failures[:20])
    assert not caller.failures, f"{len(caller.failures)} of {caller.count}:\n{told}"
    assert caller.count > 100
