"""Fills an empty database for the tests of builds, and prints what they need to know as JSON.

Run with the server's settings: versions of one small model, for a profile that is built here, and
a token of the admin.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys

import django

VERSIONS = 12
PROFILE = "twin-onnxruntime"


def main() -> None:
    django.setup()
    from server.config.prepare import ADMIN, prepare

    prepare()
    from server.accounts.models import User
    from server.accounts.services import create_api_token
    from server.fleet.models import HardwareProfile

    HardwareProfile.objects.create(
        name=PROFILE,
        title="This machine",
        runtime="onnxruntime",
        architecture=platform.machine(),
        precisions=["fp32"],
    )
    first = seed_versions()
    user = User.objects.get(username=ADMIN)
    token = create_api_token(user=user, name="faults", actor="test")
    json.dump({"token": token, "model": first}, sys.stdout)


def seed_versions() -> str:
    """The first goes through its inspection; the others differ in a word that nothing reads."""
    from server.lib import blobs
    from server.registry.models import ModelVersion
    from tests.server import catalogue

    model = catalogue.vision_model()
    version = catalogue.model_version(model, "0")
    for number in range(1, VERSIONS):
        content = catalogue.onnx_bytes(seed=100 + number)
        blobs.put_bytes(content)
        version.pk, version._state.adding = None, True
        version.version = str(number)
        version.sha256, version.length = hashlib.sha256(content).hexdigest(), len(content)
        version.save()
    assert ModelVersion.objects.count() == VERSIONS
    return model.name


if __name__ == "__main__":
    main()
