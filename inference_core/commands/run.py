"""``infer run``: judge pictures on this machine with a model or a pipeline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from inference_core.contract.manifest import ModelManifest
from inference_core.contract.pipeline import PipelineSpec, Rule, Stage
from inference_core.contract.results import FrameResult
from inference_core.contract.serve import Camera
from inference_core.contract.words import RuntimeName
from inference_core.decode.ctc import resolve_alphabet
from inference_core.errors import BadInput
from inference_core.files import read_document
from inference_core.pipeline.frames import Frame
from inference_core.pipeline.graph import Pipeline
from inference_core.pipeline.models import load_model
from inference_core.pipeline.sinks import JsonLinesSink, OverlaySink, Sink
from inference_core.pipeline.sources import list_pictures, read_frame
from inference_core.runtimes.base import SessionOptions

_SPEC_SUFFIXES = {".yaml", ".yml", ".json"}
_RUNTIMES = [name.value for name in RuntimeName if name is not RuntimeName.FAKE]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what the command takes."""
    add = parser.add_argument
    add("subject", type=Path, metavar="MODEL_OR_PIPELINE", help="an artifact, or a PipelineSpec")
    add("sources", type=Path, nargs="+", metavar="SOURCE", help="pictures, or folders of them")
    add("--runtime", default="onnxruntime", choices=_RUNTIMES)
    add("--manifest", type=Path, help="of the model; default: manifest.json beside it")
    add("--models", type=Path, help="of a pipeline: a folder with NAME/model.onnx and its manifest")
    add("--mm-per-px", type=float, help="scale of the camera, for rules in millimetres")
    add("--threads", type=int, default=2)
    add("--json", action="store_true", help="print one FrameResult a line")
    add("--overlay", type=Path, metavar="DIR", help="write pictures with the findings drawn in")


def execute(args: argparse.Namespace) -> int:
    """0 every picture was judged, 1 some gave no verdict or made a model fail."""
    pictures = _list_sources(args.sources)
    camera = Camera(name="cli", address="file:///", mm_per_px=args.mm_per_px)
    pipeline = _load_pipeline(args)
    pipeline.warm_up()
    sinks = _open_sinks(args)
    failures = 0
    for sequence, path in enumerate(pictures):
        try:
            frame = read_frame(path, camera, sequence)
        except BadInput as error:
            sys.stderr.write(f"infer run: {error}\n")
            failures += 1
            continue
        failures += _judge(frame, pipeline, sinks)
    pipeline.close()
    return 1 if failures else 0


class _TableSink:
    """A line for a person."""

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Name, verdict, time, and what was found or why it failed."""
        del frame
        said = "; ".join(result.reasons) or _describe(result)
        verdict = result.verdict.value.upper()
        sys.stdout.write(f"{result.source}  {verdict}  {result.latency_ms:.1f} ms  {said}\n")


def _describe(result: FrameResult) -> str:
    found = [f"{region.label} {region.score:.2f}" for s in result.stages for region in s.regions]
    found += [f"{line.text!r} {line.score:.2f}" for s in result.stages for line in s.lines]
    return ", ".join(found) or "nothing found"


def _judge(frame: Frame, pipeline: Pipeline, sinks: list[Sink]) -> bool:
    result = pipeline.judge(frame)
    for sink in sinks:
        sink.write(frame, result)
    return result.fault is not None


def _list_sources(sources: list[Path]) -> list[Path]:
    pictures = list(_expand(sources))
    if not pictures:
        raise BadInput("the folders hold no picture; give JPEG, PNG or BMP files")
    return pictures


def _expand(sources: list[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            yield from list_pictures(source)
        elif source.exists():
            yield source
        else:
            raise BadInput(f"{source} does not exist")


def _open_sinks(args: argparse.Namespace) -> list[Sink]:
    first: Sink = JsonLinesSink(sys.stdout.buffer) if args.json else _TableSink()
    return [first, OverlaySink(args.overlay)] if args.overlay else [first]


def _load_pipeline(args: argparse.Namespace) -> Pipeline:
    if args.subject.suffix not in _SPEC_SUFFIXES:
        files = {"model": (args.subject, args.manifest or _find_manifest(args.subject))}
        return _assemble(_look_only(), files, args)
    if args.models is None:
        raise BadInput("a pipeline needs --models DIR, a folder with NAME/model.onnx")
    spec = read_document(args.subject, PipelineSpec)
    artifacts = {name: args.models / name / "model.onnx" for name in spec.models}
    files = {name: (path, _find_manifest(path)) for name, path in artifacts.items()}
    return _assemble(spec, files, args)


def _assemble(
    spec: PipelineSpec, files: dict[str, tuple[Path, Path]], args: argparse.Namespace
) -> Pipeline:
    options = SessionOptions(threads=max(args.threads, 1))
    models = {}
    for name, (artifact, manifest) in files.items():
        if not artifact.is_file():
            raise BadInput(f"{artifact} does not exist")
        whole = _complete(read_document(manifest, ModelManifest), artifact)
        models[name] = load_model(artifact, whole, RuntimeName(args.runtime), options)
    return Pipeline(spec, models)


def _complete(manifest: ModelManifest, artifact: Path) -> ModelManifest:
    """An alphabet that lies in the ONNX, also for runtimes that drop the metadata."""
    if artifact.suffix != ".onnx" or getattr(manifest.decoder, "alphabet_key", None) is None:
        return manifest
    try:
        import onnx
    except ImportError:
        return manifest  # the runtime may well hand the metadata on
    try:
        model = onnx.load(str(artifact), load_external_data=False)
    except Exception as error:  # protobuf's errors share no public base
        raise BadInput(f"{artifact} is no ONNX file: {error}") from error
    return resolve_alphabet(manifest, {entry.key: entry.value for entry in model.metadata_props})


def _look_only() -> PipelineSpec:
    """One model alone judges nothing; its findings are the answer."""
    return PipelineSpec(
        pipeline="model",
        stages=(Stage(id="model", model="model"),),
        rules=(Rule(fail="False", because="a model alone judges nothing"),),
    )


def _find_manifest(artifact: Path) -> Path:
    candidates = [artifact.with_name(f"{artifact.stem}.manifest.json")]
    candidates.append(artifact.with_name("manifest.json"))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = " or ".join(candidate.name for candidate in candidates)
    raise BadInput(f"there is no manifest beside {artifact}: write {names}, or give --manifest")
