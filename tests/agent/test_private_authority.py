"""A server whose certificate only the factory's own authority vouches for."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from device_agent.config import load_config
from device_agent.errors import Unavailable
from device_agent.gateway import Gateway
from device_agent.identity import Identity
from inference_core.contract.device import Report
from tests.agent.certified import enrol_as, make_server_tls
from tests.agent.device import PROFILE
from tests.agent.gateway_simulator import Simulator
from tests.agent.signed_repository import SignedRepository

REPORT = Report(boot_id="00000000-0000-0000-0000-000000000001")


def test_the_authority_of_the_settings_outweighs_that_of_the_environment(
    tmp_path: Path, repository: SignedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ca_file = make_server_tls(tmp_path)
    with Simulator(repository, PROFILE, context) as server:
        identity = enrol_as(Identity(tmp_path / "id"), server.device_id)
        server.public_key = identity.public_key
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
        known = load_config(None, {}, server_url=server.url, ca_file=ca_file)
        assert Gateway(known, identity).goal(REPORT, None).goal == server.goal
        stranger = load_config(None, {}, server_url=server.url)
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            Gateway(stranger, identity).goal(REPORT, None)
