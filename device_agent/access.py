"""The short access token: got with an assertion that the device signs, renewed before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from device_agent.errors import Rejected
from device_agent.exchange import Exchange
from device_agent.identity import Identity
from inference_core.contract.device import TokenReply, TokenRequest

_RENEW_BEFORE_S = 60.0


class Access:
    """``on_server_time`` hears the server's clock whenever the token is renewed."""

    def __init__(
        self, exchange: Exchange, identity: Identity, on_server_time: Callable[[datetime], None]
    ) -> None:
        self._exchange, self._identity = exchange, identity
        self._on_server_time = on_server_time
        self._clock_offset_s = 0.0
        self._token: str | None = None
        self._token_ends_at = 0.0

    def token(self, *, renew: bool = False) -> str:
        """The one in hand while it lasts; ``renew``: the server no longer takes it."""
        if self._token is None or renew or time.monotonic() > self._token_ends_at:
            self._token = None
            reply = self._ask()
            self._token = reply.access_token
            self._token_ends_at = time.monotonic() + max(5.0, reply.expires_in_s - _RENEW_BEFORE_S)
            self._on_server_time(reply.server_time)
        return self._token

    def _ask(self) -> TokenReply:
        """A box without a battery wakes in 1970: it then signs by the server's clock.

        That clock is good for nothing else; updates stay frozen until this device's own is right.
        """
        try:
            return self._hand_in_assertion()
        except Rejected as error:
            if error.server_time is None:
                raise
            self._clock_offset_s = error.server_time.timestamp() - time.time()
            return self._hand_in_assertion()

    def _hand_in_assertion(self) -> TokenReply:
        enrolment = self._identity.enrolment
        if enrolment is None:
            raise Rejected("this device is not enrolled: run `linewarden-agent enrol`")
        assertion = self._identity.assertion(
            enrolment.device_id, f"{self._exchange.url}/token", clock_offset_s=self._clock_offset_s
        )
        body = TokenRequest(assertion=assertion).to_json()
        answer = self._exchange.send("POST", "/token", body, token=None)
        return self._exchange.parse(TokenReply, answer)
