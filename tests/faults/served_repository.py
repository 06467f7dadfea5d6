"""The server's own repository over HTTP, before the agent's own TUF client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from device_agent.trust import SignedTargets
from inference_core.contract.release import TargetCustom, release_path
from server.lib import blobs
from server.trust import selectors, services
from server.trust.models import MetadataFile
from server.trust.repository import TargetToSign
from tests.faults.file_server import FileServer
from tests.faults.tuf_client import TufClient
from tests.server.trust.ceremony import Ceremony
from tests.server.trust.test_repository import PROFILE

__all__ = ["ceremony", "own_keys"]


class Agent(TufClient):
    """A device; ``forged`` lies over what the server has."""

    def __init__(self, folder: Path, server: FileServer) -> None:
        super().__init__(folder, server, selectors.root_json().encode())
        self.forged: dict[str, bytes] = {}

    def look(self) -> SignedTargets:
        self.server.files.clear()
        for row in MetadataFile.objects.order_by("version"):
            prefix = "" if row.role == "timestamp" else f"{row.version}."
            self.server.files[f"metadata/{prefix}{row.role}.json"] = bytes(row.body)
        self.server.files.update(self.forged)
        return super().look()

    def forge(self, role: str, *signers: CryptoSigner, **changes: Any) -> None:
        """The newest metadata of ``role``, changed, signed by ``signers`` and nobody else."""
        row = selectors.newest(role)
        assert row is not None
        body = json.loads(bytes(row.body))
        body["signed"].update(changes)
        metadata: Metadata[Any] = Metadata.from_dict(body)
        metadata.signatures.clear()
        for signer in signers:
            metadata.sign(signer, append=True)
        prefix = "" if role == "timestamp" else f"{metadata.signed.version}."
        self.forged[f"metadata/{prefix}{role}.json"] = metadata.to_bytes()


def released(name: str, artifact_sha256: str = "0" * 64, profile: str = PROFILE) -> TargetToSign:
    body = {"release": name, "artifacts": {"m": {"target": {"sha256": artifact_sha256}}}}
    blob = blobs.put_bytes(json.dumps(body).encode())
    custom = TargetCustom(kind="release", profile=profile, counter=1)
    return TargetToSign(release_path(profile, name), blob.sha256, blob.length, custom)


@pytest.fixture
def own_keys(tmp_path: Path, settings: Any) -> None:
    settings.DATA = tmp_path / "data"


@pytest.fixture
def agent(tmp_path: Path, own_keys: None, db: None) -> Iterator[Agent]:
    """Enrolled while the installation signed for itself."""
    services.ensure_repository()
    with FileServer({}).running() as server:
        yield Agent(tmp_path / "tuf", server)


@pytest.fixture
def ceremony(tmp_path: Path, own_keys: None, capsys: pytest.CaptureFixture[str]) -> Ceremony:
    return Ceremony(tmp_path, capsys)
