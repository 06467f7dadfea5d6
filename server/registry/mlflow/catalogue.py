"""What an MLflow server says of its models: versions, aliases, files, runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from server.lib.errors import Invalid
from server.registry.mlflow.transport import Transport

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
MAX_PAGES, PAGE = 10, 100
MAX_TAGS, MAX_TAG_CHARS = 100, 1000
MANIFEST_TAG = "linewarden.manifest"


@dataclass(frozen=True)
class ForeignVersion:
    """One version in MLflow's registry."""

    name: str
    number: str
    run_id: str
    tags: dict[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignFile:
    """A file beside the model; ``size_bytes`` as it is listed."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class ForeignRun:
    """The run that logged a model: its last metrics, its parameters and tags."""

    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def find_version(server: Transport, name: str, told: str) -> ForeignVersion:
    """The version with the number ``told``, or that ``@alias`` names now."""
    if told.startswith("@"):
        path, query = "registered-models/alias", {"alias": told[1:]}
    else:
        path, query = "model-versions/get", {"version": told}
    answer = server.get_json(f"{API}/{path}", name=name, **query)
    return _version(answer.get("model_version"))


def list_versions(server: Transport, name: str) -> list[ForeignVersion]:
    """All versions of a registered model, the oldest first; at most 1000."""
    found: list[ForeignVersion] = []
    query = {"filter": f"name='{_quoted(name)}'", "max_results": str(PAGE)}
    for _ in range(MAX_PAGES):
        answer = server.get_json(f"{API}/model-versions/search", **query)
        found += [_version(told) for told in _list(answer.get("model_versions"))]
        token = answer.get("next_page_token")
        if not token:
            break
        query["page_token"] = str(token)
    return sorted(found, key=lambda version: int(version.number))


def find_folder(server: Transport, version: ForeignVersion) -> str:
    """Where its files lie behind the artifact proxy. Invalid where they lie elsewhere."""
    told = server.get_json(
        f"{API}/model-versions/get-download-uri", name=version.name, version=version.number
    )
    uri = str(told.get("artifact_uri", ""))
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts":
        raise Invalid(
            f"The files of {version.name} {version.number} lie at {uri[:200]!r}, which only "
            "MLflow's own client reaches. Run the tracking server with --serve-artifacts, so that "
            "it hands them out itself."
        )
    folder = parts.path.strip("/")
    _require_inside(folder)
    return folder


def list_files(server: Transport, folder: str) -> list[ForeignFile]:
    """Files in ``folder`` itself, not below it."""
    answer = server.get_json(ARTIFACTS, path=folder)
    files = [told for told in _list(answer.get("files")) if not told.get("is_dir")]
    return [ForeignFile(str(told.get("path", "")), _size(told.get("file_size"))) for told in files]


def path_of(folder: str, name: str) -> str:
    """The address of a file behind the proxy. Invalid where ``name`` leads out of ``folder``."""
    _require_inside(name)
    return f"{ARTIFACTS}/{quote(f'{folder}/{name}')}"


def find_run(server: Transport, run_id: str) -> ForeignRun:
    """The run that made a version; an empty one where it names none."""
    if not run_id:
        return ForeignRun()
    run = server.get_json(f"{API}/runs/get", run_id=run_id).get("run")
    data = run.get("data") if isinstance(run, dict) else None
    if not isinstance(data, dict):
        return ForeignRun()
    return ForeignRun(
        metrics=dict(_figures(_list(data.get("metrics")))),
        params=_pairs(data.get("params")),
        tags=_pairs(data.get("tags")),
    )


def _version(told: Any) -> ForeignVersion:
    if not isinstance(told, dict) or not re.fullmatch(r"[0-9]{1,9}", str(told.get("version"))):
        raise Invalid("The MLflow server describes no version; look at its address.")
    if told.get("status", "READY") != "READY":
        raise Invalid(f"Version {told['version']} is {told['status']} in MLflow, not READY.")
    return ForeignVersion(
        name=str(told.get("name", "")),
        number=str(told["version"]),
        run_id=str(told.get("run_id") or ""),
        tags=_pairs(told.get("tags"), keep_whole=MANIFEST_TAG),
        aliases=tuple(map(str, told.get("aliases") or ())),
    )


def _pairs(told: Any, keep_whole: str = "") -> dict[str, str]:
    """Keys with values, cut short: they are told, not computed with."""
    pairs = {str(item.get("key")): str(item.get("value")) for item in _list(told)}
    return {
        _storable(key[:200]): value if key == keep_whole else _storable(value[:MAX_TAG_CHARS])
        for key, value in list(pairs.items())[:MAX_TAGS]
    }


def _figures(told: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """What is a finite number; MLflow sends others as texts."""
    for item in told:
        value = item.get("value")
        if isinstance(value, (int, float)) and math.isfinite(value):
            yield str(item.get("key")), float(value)


def _list(told: Any) -> list[dict[str, Any]]:
    return [item for item in told if isinstance(item, dict)] if isinstance(told, list) else []


def _size(told: Any) -> int:
    text = str(told)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _require_inside(path: str) -> None:
    segments = path.split("/")
    if "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in segments):
        raise Invalid(f"The MLflow server names {path[:100]!r}, which is no path of a file.")


def _quoted(name: str) -> str:
    if "'" in name:
        raise Invalid(f"A model called {name[:100]!r} cannot be searched for; name its versions.")
    return name


def _storable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
