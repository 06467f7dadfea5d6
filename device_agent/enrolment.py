"""Becoming known to the server: once, with a token that a person or a playbook was given."""

from __future__ import annotations

from device_agent.config import Config
from device_agent.errors import ConfigError
from device_agent.gateway import Gateway
from device_agent.hardware.facts import read_facts
from device_agent.identity import Identity
from device_agent.journal import Journal
from device_agent.log import logger
from inference_core.contract.device import EnrolmentReply, EnrolmentRequest


def read_token(config: Config) -> str:
    """The enrolment token; ``ConfigError`` says where to put one."""
    token = config.read_enrolment_token()
    if token is None:
        raise ConfigError(
            "this device is not enrolled and has no enrolment token: "
            "set enrolment_token_file, or LINEWARDEN_AGENT_ENROLMENT_TOKEN"
        )
    return token


def enrol(config: Config, identity: Identity, gateway: Gateway, journal: Journal) -> EnrolmentReply:
    """Hand in the token; what the server answers is kept durably before this returns."""
    token = read_token(config)
    before = identity.enrolment
    request = EnrolmentRequest(
        token=token,
        serial=config.serial,
        public_key=identity.public_key,
        profile=config.profile,
        facts=read_facts(),
        variant=journal.variant,
    )
    reply = gateway.enrol(request)
    if before is None or before.device_id != reply.device_id:
        journal.forget_goal()
    identity.remember(reply)
    journal.raise_time_floor(reply.server_time)
    logger.info("enrolled as %s, profile %s, %s", reply.device_id, reply.profile, reply.state)
    return reply
