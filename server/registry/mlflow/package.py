"""One model of MLflow's flavour "onnx": what is taken of it, and what it says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from server.lib.errors import Invalid
from server.registry.mlflow import catalogue
from server.registry.mlflow.catalogue import ForeignFile, ForeignRun, ForeignVersion
from server.registry.mlflow.transport import Transport
from server.registry.services.lineage import METRIC_NAME

MAX_TEXT_BYTES = 4 * 1024 * 1024
MAX_YAML_BYTES = 512 * 1024
MANIFEST = "manifest.json"
_NOT_WEIGHTS = (".json", ".md", ".txt", ".yaml", ".yml")


@dataclass(frozen=True)
class Package:
    """What is to be fetched of one version, and what goes with it into the upload.

    ``weights`` lie beside the model: MLflow logs them so unless it is told otherwise.
    """

    version: ForeignVersion
    folder: str
    model: ForeignFile
    weights: tuple[ForeignFile, ...]
    manifest: str
    run: ForeignRun

    @property
    def size_bytes(self) -> int:
        """Of all that is fetched, as it is listed."""
        return sum(file.size_bytes for file in (self.model, *self.weights))

    def metrics(self) -> dict[str, float]:
        """Figures of the run whose names can be asked for, the first 100."""
        named = {k: v for k, v in self.run.metrics.items() if METRIC_NAME.fullmatch(k)}
        return dict(list(named.items())[:100])

    def recipe(self) -> dict[str, Any] | None:
        """How the run was made, as far as MLflow knows; None where it knows nothing."""
        if not self.version.run_id:
            return None
        name = self.run.tags.get("mlflow.runName") or "mlflow-run"
        params = {key: value[:200] for key, value in list(self.run.params.items())[:50]}
        return {"name": name[:100], "run_id": self.version.run_id, "params": params}

    def licence(self) -> str:
        """As the version or its run is tagged; empty where neither is."""
        tags = {**self.run.tags, **self.version.tags}
        return tags.get("licence") or tags.get("license") or ""

    def source(self, address: str) -> dict[str, Any]:
        """Where it comes from, for people."""
        tags = {**self.run.tags, **self.version.tags}
        kept = {k: v for k, v in tags.items() if not k.startswith(("mlflow.", "linewarden."))}
        return {
            "registry": "mlflow",
            "address": address,
            "name": self.version.name,
            "version": self.version.number,
            "run_id": self.version.run_id,
            "aliases": list(self.version.aliases),
            "tags": {key: value[:200] for key, value in kept.items()},
        }


def look_into(server: Transport, name: str, told: str, *, manifest: str) -> Package:
    """Find a version, its files and its run. ``manifest`` is the caller's, which wins.

    Otherwise it is ``manifest.json`` beside the model, or the tag ``linewarden.manifest``; where
    neither is there it is empty, and the file must say what it is. Raises Invalid where the model
    is not of the flavour "onnx".
    """
    version = catalogue.find_version(server, name, told)
    folder = catalogue.find_folder(server, version)
    listed = catalogue.list_files(server, folder)
    files = {file.name: file for file in listed if _is_plain(file.name)}
    model = files.get(_model_name(server, folder, files))
    if model is None:
        raise Invalid(f"MLflow's files of {name} {version.number} lack the model that they name.")
    return Package(
        version=version,
        folder=folder,
        model=model,
        weights=tuple(_weights(files, model)),
        manifest=manifest or _manifest(server, folder, files, version),
        run=catalogue.find_run(server, version.run_id),
    )


def _model_name(server: Transport, folder: str, files: dict[str, ForeignFile]) -> str:
    if "MLmodel" not in files:
        raise Invalid("There is no file MLmodel: this version was not logged as an MLflow model.")
    text = server.get_bytes(catalogue.path_of(folder, "MLmodel"), MAX_YAML_BYTES)
    try:
        document = yaml.safe_load(text)
        flavours = document["flavors"]
        data = flavours["onnx"]["data"] if "onnx" in flavours else None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        raise Invalid("The file MLmodel cannot be read.") from None
    if not isinstance(data, str):
        kinds = ", ".join(sorted(map(str, flavours))[:10])
        raise Invalid(
            f"It has the flavours {kinds or 'none'}, not onnx. Log the model with "
            "mlflow.onnx.log_model."
        )
    return data


def _is_plain(name: str) -> bool:
    """Whether it is safe as the name of a file here, and none of our own beside it."""
    is_ours = name.endswith((".part", ".part-mark"))
    return not (is_ours or "/" in name or "\\" in name or name.startswith(".") or len(name) > 200)


def _weights(files: dict[str, ForeignFile], model: ForeignFile) -> list[ForeignFile]:
    """Whatever may be weights: the graph says which of them it reads."""
    return [
        file
        for file in files.values()
        if file != model and file.name != "MLmodel" and not file.name.endswith(_NOT_WEIGHTS)
    ]


def _manifest(
    server: Transport, folder: str, files: dict[str, ForeignFile], version: ForeignVersion
) -> str:
    if MANIFEST not in files:
        return version.tags.get(catalogue.MANIFEST_TAG, "")
    text = server.get_bytes(catalogue.path_of(folder, MANIFEST), MAX_TEXT_BYTES)
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        raise Invalid(f"The file {MANIFEST} beside the model is no JSON.") from None
