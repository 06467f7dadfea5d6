"""What devices say: enrolment, tokens, polls, progress, telemetry, samples, logs."""

from __future__ import annotations

import random
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from inference_core.contract.base import Message
from inference_core.contract.device import (
    ACCESS_TOKEN_LIFETIME_S,
    REPORT_HEADER,
    CertificateReply,
    CertificateRequest,
    DeviceFacts,
    EnrolmentReply,
    EnrolmentRequest,
    FactsReply,
    Progress,
    Report,
    TokenReply,
    TokenRequest,
)
from inference_core.contract.telemetry import (
    MAX_LOGS_BYTES,
    MAX_SAMPLE_BYTES,
    BatchReply,
    LogsMeta,
    SampleMeta,
)
from server.device_gateway import credentials, goals, services
from server.device_gateway.doors import (
    caller,
    claims_of,
    door,
    for_device,
    limited,
    read_body,
    require_size,
    require_type,
)
from server.device_gateway.errors import KeyWaits, Quarantined
from server.fleet import enrolment, presence
from server.fleet.models import Device
from server.fleet.profile_services import update_facts
from server.fleet.states import DeviceState
from server.lib import clock
from server.lib.errors import Invalid, Malformed
from server.lib.messages import read_json
from server.review.services import store_sample
from server.rollouts.selectors import goal_of
from server.rollouts.services import report_progress
from server.telemetry.logs import store_logs
from server.telemetry.reading import MAX_BATCH_BYTES, read_batch
from server.telemetry.services import store_batch
from server.trust import certificates
from server.trust.selectors import root_json

M = TypeVar("M", bound=Message)
POLL_HEADER = "Linewarden-Poll"
MAX_BODY_BYTES = 64 * 1024
MAX_REPORT_CHARS = 2000
MAX_META_CHARS = 1024 * 1024
JITTER = 0.1
"""Polls are spread by this share both ways, so that boxes that started together drift apart."""


@door("POST")
@limited("enrol", per_minute=120)
def enrol(request: HttpRequest) -> HttpResponse:
    """``POST enrol``: 401 for the token, 409 where the serial belongs to another key."""
    message = read_json(EnrolmentRequest, read_body(request, max_bytes=MAX_BODY_BYTES))
    result = enrolment.enrol_device(request=message)
    device = result.device
    if result.outcome is enrolment.Outcome.KEY_WAITS:
        raise KeyWaits("This serial belongs to another key; an admin must accept the new one.")
    if device.state == DeviceState.QUARANTINED:
        raise Quarantined("This device is quarantined; ask an admin why.")
    reply = EnrolmentReply(
        device_id=device.pk,
        state="accepted" if device.state == DeviceState.ACCEPTED else "pending",
        profile=device.profile.name,
        tuf_root=root_json(),
        poll_s=settings.ENV.poll_s,
        server_time=clock.now(),
    )
    return _answer(reply)


@door("POST")
@limited("token", per_minute=3000)
def token(request: HttpRequest) -> HttpResponse:
    """``POST token``: a client assertion for an access token."""
    message = read_json(TokenRequest, read_body(request, max_bytes=MAX_BODY_BYTES))
    access_token = services.exchange_assertion(assertion=message.assertion)
    reply = TokenReply(
        access_token=access_token,
        expires_in_s=ACCESS_TOKEN_LIFETIME_S,
        server_time=clock.now(),
    )
    return _answer(reply)


@door("POST")
@for_device
def certificate(request: HttpRequest, device: Device) -> HttpResponse:
    """``POST certificate``: 404 ``no_broker`` where a certificate would open nothing."""
    message = read_json(CertificateRequest, read_body(request, max_bytes=MAX_BODY_BYTES))
    issued = certificates.issue_certificate(device=device, csr=message.csr)
    reply = CertificateReply(
        certificate=issued.pem.decode(),
        ca=certificates.authority().certificate_pem.decode(),
        not_before=issued.not_before,
        not_after=issued.not_after,
    )
    return _answer(reply)


@door("GET")
def goal(request: HttpRequest) -> HttpResponse:
    """``GET goal``: the same report under the same goal costs no SQL."""
    claims = claims_of(request)
    report = request.headers.get(REPORT_HEADER, "")
    look = goals.look(claims.device_id, report=report, key_mark=claims.key_mark)
    if look.answer is not None:
        presence.note(claims.device_id)
        return _goal_answer(request, look.answer)
    return _goal_answer(request, _read_goal(claims, report, look.epoch))


def _read_goal(claims: credentials.Claims, text: str, epoch: str) -> goals.Answer:
    """The long way: who is it, what does it run, what should it run."""
    if len(text) > MAX_REPORT_CHARS:
        raise Invalid(f"The header {REPORT_HEADER} is longer than {MAX_REPORT_CHARS} characters.")
    report = read_json(Report, text)
    device = caller(claims)
    presence.write(device=device, report=report)
    wanted = goal_of(device)
    answer = goals.answer_of(wanted)
    # A device that runs something else than it should is looked at on every poll.
    if report.running_sha256 == (wanted.release and wanted.release.sha256):
        goals.keep(device.pk, answer, epoch=epoch, report=text, key_mark=claims.key_mark)
    return answer


def _goal_answer(request: HttpRequest, answer: goals.Answer) -> HttpResponse:
    headers = {
        "ETag": answer.etag,
        "Cache-Control": "no-cache, private",
        POLL_HEADER: f"{_with_jitter(answer.poll_s):.2f}",
    }
    known = request.headers.get("If-None-Match", "")
    if answer.etag in (tag.strip() for tag in known.split(",")):
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(answer.body, content_type="application/json", headers=headers)


@door("PUT")
@for_device
def facts(request: HttpRequest, device: Device) -> HttpResponse:
    """``PUT facts``: what the box is now, and whether its profile still fits it."""
    message = read_json(DeviceFacts, read_body(request, max_bytes=MAX_BODY_BYTES))
    misfit = update_facts(device=device, facts=message)
    return _answer(FactsReply(profile=device.profile.name, misfit=misfit))


@door("PATCH")
@for_device
def deployment(request: HttpRequest, device: Device, deployment_id: UUID) -> HttpResponse:
    """``PATCH deployments/{id}``: 409 stale and 410 closed carry the deployment as it is."""
    progress = read_json(Progress, read_body(request, max_bytes=MAX_BODY_BYTES))
    reply = report_progress(device=device, deployment_id=deployment_id, progress=progress)
    # The goal names the version of its deployment, which has just changed.
    goals.void(device.pk)
    return _answer(reply)


@door("POST")
@for_device
def telemetry(request: HttpRequest, device: Device) -> HttpResponse:
    """``POST telemetry``: the answer is sent after the commit; 409 names what is missing."""
    batch = read_batch(read_body(request, max_bytes=MAX_BATCH_BYTES))
    return _answer(BatchReply(acked_seq=store_batch(device=device, batch=batch)))


@door("POST")
@for_device
def samples(request: HttpRequest, device: Device) -> HttpResponse:
    """``POST samples``: 201 where the sample is new, 200 for a repeat."""
    meta, image = _read_form(request, SampleMeta, "image", max_bytes=MAX_SAMPLE_BYTES)
    is_new = store_sample(device=device, meta=meta, image=image)
    return HttpResponse(status=201 if is_new else 200)


@door("POST")
@for_device
def logs(request: HttpRequest, device: Device) -> HttpResponse:
    """``POST logs``: 201 for what was asked for, 200 for a repeat, 404 for what was not."""
    meta, bundle = _read_form(request, LogsMeta, "bundle", max_bytes=MAX_LOGS_BYTES)
    is_new = store_logs(device=device, meta=meta, bundle=bundle)
    return HttpResponse(status=201 if is_new else 200)


def _read_form(
    request: HttpRequest, model: type[M], name: str, *, max_bytes: int
) -> tuple[M, UploadedFile]:
    """The message in the field ``meta``, and the file ``name`` of at most ``max_bytes``."""
    require_type(request, "multipart/form-data")
    require_size(request, max_bytes=max_bytes + MAX_META_CHARS + 4096)
    try:
        meta, file = request.POST.get("meta"), request.FILES.get(name)
    except MultiPartParserError as error:
        raise Malformed(f"The form cannot be read: {error}") from None
    if meta is None or file is None:
        raise Invalid(f"The form has the field meta and the file {name}.")
    if len(meta) > MAX_META_CHARS:
        raise Invalid(f"The field meta is longer than {MAX_META_CHARS} characters.")
    return read_json(model, meta), file


def _with_jitter(poll_s: float) -> float:
    return poll_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, no secret


def _answer(reply: Message) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(reply.to_json(), content_type="application/json", headers=headers)
