"""What a person names on the command line, ready to look at frames: a model, or a pipeline."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from inference_core.commands.loading import (
    SUFFIXES,
    add_model_options,
    load_for_cli,
    read_manifest,
    require_file,
)
from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec, Rule, Stage
from inference_core.errors import BadInput
from inference_core.files import read_document
from inference_core.pipeline.graph import Pipeline
from inference_core.runtimes.base import SessionOptions

_SPEC_SUFFIXES = {".yaml", ".yml", ".json"}
ALONE = "model"
"""Id of the stage, and name of the model, where there is no pipeline."""


@dataclass(frozen=True)
class Subject:
    """A pipeline with its models, or one model alone, which judges nothing."""

    spec: PipelineSpec
    artifacts: dict[str, Path]
    """By the name of the model."""
    manifests: dict[str, ModelManifest]
    is_pipeline: bool

    @property
    def task(self) -> str:
        """Of the one model, or "pipeline"."""
        return "pipeline" if self.is_pipeline else self.manifests[ALONE].task.value


def add_subject_options(parser: argparse.ArgumentParser) -> None:
    """The first argument, and how to find and run the models behind it."""
    parser.add_argument(
        "subject", type=Path, metavar="MODEL_OR_PIPELINE", help="an artifact, or a PipelineSpec"
    )
    add_model_options(parser)
    parser.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="of a pipeline: NAME.onnx or NAME/model.onnx, each with its manifest; "
        "default: models beside the pipeline",
    )


def read_subject(args: argparse.Namespace) -> Subject:
    """Finds all files and manifests; nothing is loaded. Raises ``BadInput``."""
    subject: Path = args.subject
    require_file(subject)
    if subject.suffix.lower() not in _SPEC_SUFFIXES:
        manifest = read_manifest(subject, args.manifest)
        return Subject(_look_only(), {ALONE: subject}, {ALONE: manifest}, is_pipeline=False)
    if args.manifest is not None:
        raise BadInput("--manifest is for one model; those of a pipeline lie beside its models")
    spec = read_document(subject, PipelineSpec)
    folder = args.models or subject.with_name("models")
    artifacts = {name: _find_artifact(folder, name) for name in sorted(spec.models)}
    manifests = {name: read_manifest(path) for name, path in artifacts.items()}
    return Subject(spec, artifacts, manifests, is_pipeline=True)


def load_subject(subject: Subject, runtime: str | None, threads: int) -> Pipeline:
    """Loads every model; warm.

    Raises ``BadInput``, ``LoadFailed``, and ``RuntimeUnavailable``, which says what to install.
    """
    options = SessionOptions(threads=max(threads, 1))
    models = {
        name: load_for_cli(path, manifest=subject.manifests[name], runtime=runtime, options=options)
        for name, path in subject.artifacts.items()
    }
    pipeline = Pipeline(subject.spec, models)
    pipeline.warm_up()
    return pipeline


def _find_artifact(folder: Path, name: str) -> Path:
    for suffix in SUFFIXES:
        for path in (folder / name / f"model{suffix}", folder / f"{name}{suffix}"):
            if path.is_file():
                return path
    raise BadInput(
        f"the pipeline needs the model {name}, and there is neither {name}/model.onnx nor "
        f"{name}.onnx in {folder}; say with --models where the models are"
    )


def _look_only() -> PipelineSpec:
    """One model alone judges nothing; its findings are the answer."""
    return PipelineSpec(
        pipeline=ALONE,
        stages=(Stage(id=ALONE, model=ALONE),),
        rules=(Rule(fail="False", because="a model alone judges nothing"),),
    )
