from __future__ import annotations

import hashlib
import json

import onnx
import pytest
from onnx import TensorProto

from server.accounts.models import AuditEntry
from server.datasets.models import Purpose
from server.lib import blobs
from server.lib.errors import Conflict, Invalid, NotFound, TooLarge
from server.registry import selectors, services
from server.registry.models import ModelVersion, VisionModel
from tests.core.onnx_models import brightness_model
from tests.server.catalogue import (
    ACTOR,
    MAX_BYTES,
    dataset,
    manifest_json,
    model_version,
    onnx_bytes,
)

pytestmark = pytest.mark.django_db


def upload(model: VisionModel, data: bytes, manifest: str | None = None, **changes: object) -> None:
    services.upload_version(
        model=model,
        version="9.9.9",
        manifest=manifest or manifest_json(),
        notes="",
        chunks=[data[:1000], data[1000:]],
        actor=ACTOR,
        **{"max_bytes": MAX_BYTES, **changes},
    )


def refused(model: VisionModel, data: bytes, manifest: str | None = None) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        upload(model, data, manifest)
    assert not ModelVersion.objects.exists()
    assert not blobs.exists(hashlib.sha256(data).hexdigest())
    return refusal.value


def test_an_upload_is_stored_with_what_its_inspection_found(version: ModelVersion) -> None:
    assert blobs.read(version.sha256) == onnx_bytes()
    assert version.report["operators"]["Relu"] == 1
    assert version.licence == "Apache-2.0"
    assert version.manifest.to_json().decode() == manifest_json()
    assert version.manifest_sha256 == hashlib.sha256(manifest_json().encode()).hexdigest()
    assert AuditEntry.objects.get(subject="model_version").actor == ACTOR


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"PK\x03\x04" + bytes(99), b"\x80\x04pickle"])
def test_what_is_not_onnx_is_refused(model: VisionModel, data: bytes) -> None:
    assert refused(model, data).extra["inspection"] == "not_onnx"


def test_an_onnx_cut_short_is_refused(model: VisionModel) -> None:
    assert refused(model, onnx_bytes()[:-40]).extra["inspection"] == "not_onnx"


def test_weights_outside_the_file_are_refused(model: VisionModel) -> None:
    outside = brightness_model()
    weight = outside.graph.initializer[1]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../etc/passwd")

    error = refused(model, outside.SerializeToString())

    assert error.extra["inspection"] == "external_data"
    assert "save the model as one file" in error.detail


def test_a_manifest_that_names_an_absent_tensor_is_refused(model: VisionModel) -> None:
    manifest = manifest_json(inputs=[{"name": "picture", "shape": [1, 3, 32, 48]}])

    error = refused(model, onnx_bytes(), manifest)

    assert error.extra["inspection"] == "absent_tensor"
    assert "picture" in error.detail


def test_a_custom_operator_is_refused(model: VisionModel) -> None:
    foreign = brightness_model()
    foreign.graph.node[0].domain = "com.example"
    foreign.opset_import.append(onnx.helper.make_opsetid("com.example", 1))

    assert refused(model, foreign.SerializeToString()).extra["inspection"] == "unknown_operator"


@pytest.mark.parametrize(
    "manifest", ["", "{", "[]", "null", "{}", '{"task": "telepathy"}', "[" * 100_000]
)
def test_a_manifest_that_is_none_is_refused_with_a_list_of_errors(
    model: VisionModel, manifest: str
) -> None:
    assert refused(model, onnx_bytes(), manifest or " ").extra["errors"]


def test_a_misspelt_field_of_a_manifest_is_named(model: VisionModel) -> None:
    manifest = json.dumps({**json.loads(manifest_json()), "licnce": "MIT"})

    assert refused(model, onnx_bytes(), manifest).extra["errors"][0]["path"] == "licnce"


def test_a_manifest_for_another_task_is_refused(db: None) -> None:
    other = services.create_model(
        name="marks",
        task="text_recognition",
        title="Marks",
        golden=dataset(Purpose.GOLDEN, range(50, 52)),
        calibration=dataset(Purpose.CALIBRATION, range(2)),
        actor=ACTOR,
    )

    assert "segmentation" in refused(other, onnx_bytes()).detail


def test_an_upload_past_the_limit_is_refused_and_not_kept(model: VisionModel) -> None:
    with pytest.raises(TooLarge) as refusal:
        upload(model, onnx_bytes(), max_bytes=100)

    assert refusal.value.extra == {"max_bytes": 100}
    assert not ModelVersion.objects.exists()


def test_a_version_never_changes(model: VisionModel, version: ModelVersion) -> None:
    with pytest.raises(Conflict, match="versions never change"):
        model_version(model, version.version, seed=8)

    assert blobs.read(selectors.model_version(model.name, "1.0.0").sha256) == onnx_bytes()


def test_the_same_content_is_refused_as_another_version(
    model: VisionModel, version: ModelVersion
) -> None:
    with pytest.raises(Conflict, match=r"1\.0\.0"):
        model_version(model, "1.0.1")


def test_the_same_bytes_with_another_manifest_are_another_version(
    model: VisionModel, version: ModelVersion
) -> None:
    upload(model, onnx_bytes(), manifest_json(source="elsewhere"))

    assert model.versions.count() == 2


def test_an_inspector_that_dies_of_the_file_is_no_servers_error(
    model: VisionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.registry.inspection.INSPECT_TIMEOUT_S", 0.01)

    assert refused(model, onnx_bytes()).extra["inspection"] == "inspection_failed"


def test_sets_that_share_an_image_are_refused(db: None) -> None:
    golden = dataset(Purpose.GOLDEN, range(5))
    calibration = dataset(Purpose.CALIBRATION, range(4, 8))

    with pytest.raises(Invalid) as refusal:
        services.create_model(
            name="m",
            task="segmentation",
            title="",
            golden=golden,
            calibration=calibration,
            actor=ACTOR,
        )
    assert refusal.value.extra["shared"] == ["images/4.png"]


def test_a_set_is_used_for_what_it_was_uploaded_for(db: None) -> None:
    golden = dataset(Purpose.GOLDEN, range(5))
    training = dataset(Purpose.TRAINING, range(5, 8))

    with pytest.raises(Invalid, match="training"):
        services.create_model(
            name="m", task="segmentation", title="", golden=golden, calibration=training, actor="a"
        )


@pytest.mark.parametrize("task", ["", "telepathy", "tracking"])
def test_a_task_without_a_decoder_is_refused(model: VisionModel, task: str) -> None:
    with pytest.raises(Invalid, match="segmentation"):
        services.create_model(
            name="m",
            task=task,
            title="",
            golden=model.golden,
            calibration=model.calibration,
            actor=ACTOR,
        )


def test_a_taken_name_is_a_conflict(model: VisionModel) -> None:
    with pytest.raises(Conflict):
        services.create_model(
            name=model.name,
            task=model.task,
            title="",
            golden=model.golden,
            calibration=model.calibration,
            actor=ACTOR,
        )


def test_what_is_not_there_is_not_found(model: VisionModel) -> None:
    for find in (
        lambda: selectors.model("nobody"),
        lambda: selectors.model_version(model.name, "0"),
        lambda: selectors.release("nothing"),
    ):
        with pytest.raises(NotFound):
            find()
