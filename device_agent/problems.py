"""Which of our two errors a refusal of the server stands for."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from pydantic import ValidationError

from device_agent.errors import Rejected, Unavailable
from device_agent.remote_files import LATER
from device_agent.web import requests
from inference_core.contract.base import Message


class _ProblemDocument(Message):
    """RFC 9457, with the one extension that the agent acts on."""

    title: str = ""
    detail: str = ""
    server_time: datetime | None = None


def problem_of(response: requests.Response, content: bytes) -> Rejected | Unavailable:
    """The error that an answer stands for; a foreign body is quoted by its status only."""
    try:
        document = _ProblemDocument.model_validate_json(content)
    except ValidationError:
        document = _ProblemDocument()
    detail = (document.detail or document.title)[:500]
    sentence = f"the server answered {response.status_code}: {detail or response.reason}"
    if response.status_code in LATER:
        return Unavailable(sentence, delay_s=_retry_after(response.headers.get("Retry-After")))
    return Rejected(sentence, status=response.status_code, server_time=document.server_time)


def _retry_after(text: str | None) -> float | None:
    """Seconds, from either form of RFC 9110 section 10.2.3; at most an hour."""
    seconds = read_seconds(text)
    if seconds is None and text:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    return None if seconds is None else min(3600.0, max(0.0, seconds))


def read_seconds(text: str | None) -> float | None:
    """A header that holds seconds; None where it is missing, negative, or more than a day."""
    try:
        seconds = float(text) if text else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 86_400 else None
