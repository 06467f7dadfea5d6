"""People, datasets and models that tests of several apps begin with."""

from __future__ import annotations

from functools import lru_cache

from rest_framework.test import APIClient

from server.accounts.models import Role, User
from server.accounts.services import assign_role
from server.datasets.models import DatasetVersion, Purpose
from server.datasets.services import upload_dataset
from server.registry import services
from server.registry.models import ModelVersion, VisionModel
from tests.core.onnx_models import brightness_manifest, brightness_model
from tests.server.archives import board_files, pack

ACTOR = "user:ada"
MODEL = "board-defects"
MAX_BYTES = 64 * 1024 * 1024


def person(role: Role, username: str = "ada") -> User:
    user = User.objects.create_user(username)
    assign_role(user=user, role=role, actor="system")
    return user


def client_of(role: Role) -> APIClient:
    client = APIClient()
    client.force_authenticate(person(role, f"one-{role}"))
    return client


def dataset(purpose: Purpose, seeds: range, name: str | None = None) -> DatasetVersion:
    return upload_dataset(
        name=name or f"boards-{purpose}",
        version="1",
        purpose=purpose,
        notes="Drawn.",
        file=pack(board_files(seeds)),
        max_bytes=MAX_BYTES,
        actor=ACTOR,
    )


def vision_model(name: str = MODEL) -> VisionModel:
    return services.create_model(
        name=name,
        task="segmentation",
        title="Defects",
        golden=dataset(Purpose.GOLDEN, range(100, 106)),
        calibration=dataset(Purpose.CALIBRATION, range(4)),
        actor=ACTOR,
    )


@lru_cache(maxsize=4)
def onnx_bytes(seed: int = 7) -> bytes:
    model = brightness_model()
    model.doc_string = f"seed {seed}"
    return bytes(model.SerializeToString())


def manifest_json(**changes: object) -> str:
    return brightness_manifest(**changes).to_json().decode()


def model_version(model: VisionModel, version: str = "1.0.0", seed: int = 7) -> ModelVersion:
    return services.upload_version(
        model=model,
        version=version,
        manifest=manifest_json(),
        notes="",
        chunks=[onnx_bytes(seed)],
        max_bytes=MAX_BYTES,
        actor=ACTOR,
    )


def pipeline(model: str = MODEL, rule: str = "defects.count() > 0") -> dict[str, object]:
    return {
        "pipeline": "boards",
        "stages": [{"id": "defects", "model": model}],
        "rules": [{"fail": rule, "because": "scratch"}],
    }
