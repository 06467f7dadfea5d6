"""Builds on the device itself: ``builds/{turn}/…``. A turn of another device is a 404."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from inference_core.contract.base import Message
from inference_core.contract.build import BuildOutcome
from inference_core.contract.device_build import (
    MAX_PIECE_BYTES,
    OFFSET_HEADER,
    BuildBeat,
    BuildClosing,
    BuildReason,
    PieceReply,
)
from server.builds import services
from server.builds.device_reads import lease_of, require_file, turn_of
from server.builds.services.uploads import received_bytes
from server.device_gateway.doors import door, for_device, read_body, require_size, require_type
from server.device_gateway.files import send_blob
from server.fleet.models import Device
from server.lib.errors import Malformed, Unavailable
from server.lib.messages import read_json

MAX_BEAT_BYTES = 256 * 1024
MAX_OUTCOME_BYTES = 2 * 1024 * 1024
PIECE_TYPE = "application/octet-stream"


@door("POST")
@for_device
def lease(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:  # noqa: ARG001 - no body
    """``POST lease``: take the offer; 409 where it is over."""
    turn = turn_of(device, turn_id)
    reply = lease_of(turn)
    services.take_turn(turn=turn)
    return _answer(reply)


@door("POST")
@for_device
def decline(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST decline``: the sentence is shown with the build."""
    message = read_json(BuildReason, read_body(request, max_bytes=MAX_BEAT_BYTES))
    services.decline_turn(turn=turn_of(device, turn_id), reason=message.reason)
    return HttpResponse(status=204)


@door("POST")
@for_device
def give_back(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST return``: another attempt, elsewhere where there is another device."""
    message = read_json(BuildReason, read_body(request, max_bytes=MAX_BEAT_BYTES))
    services.return_turn(turn=turn_of(device, turn_id), reason=message.reason)
    return HttpResponse(status=204)


@door("GET", "HEAD")
@for_device
def file(request: HttpRequest, device: Device, turn_id: int, sha256: str) -> HttpResponseBase:
    """``GET files/{sha256}``: whole or one range, only what this build needs, only while leased."""
    require_file(turn_of(device, turn_id), sha256)
    return send_blob(request, sha256)


@door("POST")
@for_device
def progress(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST progress``: keeps the lease; 409 where it is lost."""
    beat = read_json(BuildBeat, read_body(request, max_bytes=MAX_BEAT_BYTES))
    turn = turn_of(device, turn_id)
    services.continue_turn(turn=turn, step=beat.step, share=beat.share, log=beat.log)
    return HttpResponse(status=204)


@door("GET", "PATCH")
@for_device
def artifact(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``artifact``: GET says where to go on, PATCH appends a piece and keeps the lease."""
    turn = turn_of(device, turn_id)
    if request.method == "GET":
        return _answer(PieceReply(received=received_bytes(turn)))
    start, content = _read_piece(request)
    services.continue_turn(turn=turn)
    return _answer(PieceReply(received=services.add_piece(turn=turn, start=start, content=content)))


@door("POST")
@for_device
def outcome(request: HttpRequest, device: Device, turn_id: int) -> HttpResponse:
    """``POST outcome``: 422 where artifact or certificate are not of this build."""
    said = read_json(BuildOutcome, read_body(request, max_bytes=MAX_OUTCOME_BYTES))
    build = services.finish_turn(turn=turn_of(device, turn_id), outcome=said)
    return _answer(BuildClosing(state=build.state, reason=build.reason))


def _read_piece(request: HttpRequest) -> tuple[int, bytes]:
    require_type(request, PIECE_TYPE)
    declared = require_size(request, max_bytes=MAX_PIECE_BYTES)
    try:
        start = int(request.headers.get(OFFSET_HEADER, ""))
    except ValueError:
        raise Malformed(f"Send {OFFSET_HEADER}: how many bytes lie before this piece.") from None
    content = request.body
    if len(content) != declared or not content:
        raise Unavailable("The piece arrived cut short, or empty; send it again.")
    return start, content


def _answer(reply: Message) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(reply.to_json(), content_type="application/json", headers=headers)
