"""Messages between a build worker and the child that inspects, builds and certifies."""

from __future__ import annotations

from typing import Annotated, Literal, Optional, Union

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from inference_core.contract.base import Document, Message, Sha256, Slug, added
from inference_core.contract.manifest import ModelManifest, TensorSpec
from inference_core.contract.recipe import BuildRecipe
from inference_core.contract.words import ComputeDevice, Precision, RuntimeName

ComputeCapability = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}\.[0-9]$")]
"""The generation of an NVIDIA GPU, for example "8.7"."""

VersionBeginning = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=40)]
"""A version as exact as it is meant: "10.3" is every 10.3."""


class BatchRange(Document):
    """How many pictures an engine takes at once; it is fastest at ``optimal``."""

    minimum: int = Field(default=1, ge=1, le=1024)
    optimal: int = Field(ge=1, le=1024)
    maximum: int = Field(ge=1, le=1024)

    @model_validator(mode="after")
    def _rises(self) -> BatchRange:
        if not self.minimum <= self.optimal <= self.maximum:
            raise ValueError("a batch range rises: minimum, optimal, maximum")
        return self


class TensorRtProfile(Document):
    """What an engine is built for; all of it is in the engine's key.

    TensorRT builds for the GPU it finds. TensorRT for RTX also builds for GPUs that are elsewhere,
    several in one engine.
    """

    flavour: Literal["tensorrt", "rtx"] = "tensorrt"
    version: str | None = Field(
        default=None,
        max_length=40,
        pattern=r"^[0-9]+(\.[0-9]+)*$",
        description='That of the devices, as exact as it is known: "10.3" or "10.3.0.26".',
    )
    compute_capabilities: tuple[ComputeCapability, ...] = Field(
        default=(), max_length=8, description="None given: the GPU of the builder."
    )
    hardware_compatibility: Literal["none", "same_compute_capability", "ampere_plus"] = "none"
    dla_core: int | None = Field(default=None, ge=0, le=7)
    workspace_bytes: int | None = Field(default=None, ge=1024)
    optimisation_level: int | None = Field(default=None, ge=0, le=5)
    batch: BatchRange | None = Field(
        default=None, description="None: the batch of the manifest, and no other."
    )


class ProfileSpec(Document):
    """A hardware profile as a builder and a device need it."""

    name: Slug
    runtime: RuntimeName
    architecture: Literal["x86_64", "aarch64"]
    precisions: tuple[Precision, ...] = Field(min_length=1)
    threads: int = Field(default=1, ge=1, le=256)
    accelerator: Slug | None = Field(
        default=None,
        description='A chip that the artifact must be compiled for: "edgetpu".',
    )
    tensorrt: TensorRtProfile | None = None
    compute_device: ComputeDevice = added(
        ComputeDevice.CPU, description="Where OpenVINO computes; other runtimes have no choice."
    )
    runtime_version: VersionBeginning | None = added(
        None, description="Devices have this version, so that no other one may build for them."
    )

    @model_validator(mode="after")
    def _only_openvino_chooses(self) -> ProfileSpec:
        has_choice = self.runtime is RuntimeName.OPENVINO
        if self.compute_device is not ComputeDevice.CPU and not has_choice:
            raise ValueError("only OpenVINO has a choice of compute_device")
        return self


class TensorFacts(Message):
    """A tensor as the graph itself declares it; None is a dimension left open."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class RuntimeSupport(Message):
    """Whether a runtime takes a graph. ``node`` is the first that it does not take."""

    answer: Literal["yes", "no", "unknown"]
    why: str = Field(description="One sentence for a person.")
    node: str = ""
    operator: str = ""


class InspectionReport(Message):
    """What the sandboxed child found in an uploaded ONNX."""

    sha256: Sha256
    size_bytes: int
    opset: int
    producer: str
    parameters: int
    operators: dict[str, int]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    metadata: dict[str, str] = Field(default_factory=dict, description="Foreign, and cut short.")
    support: dict[str, RuntimeSupport] = added(
        {}, description="By runtime: whether it takes the opset and every operator."
    )


class InspectionProblem(Message):
    """Why an upload is refused. ``code`` is stable, ``detail`` says what to do."""

    code: Literal[
        "not_onnx",
        "external_data",
        "too_large",
        "unknown_operator",
        "absent_tensor",
        "shape_mismatch",
        "missing_alphabet",
        "inspection_failed",
    ]
    detail: str


class InspectionResult(Message):
    """Exactly one of the two: a report, or the problem."""

    report: InspectionReport | None = None
    problem: InspectionProblem | None = None


class ParityLimits(Document):
    """What a candidate must keep of the reference on the golden set."""

    min_metric_share: float = Field(default=0.99, gt=0, le=1)
    min_class_share: float = Field(default=0.97, gt=0, le=1)
    min_agreement: float = Field(
        default=0.95, ge=0, le=1, description="Share of golden images with the same answer."
    )
    min_slice_share: float = added(0.97, gt=0, le=1)
    max_score_shift: float = Field(default=0.05, gt=0)
    min_reference_metric: float = Field(
        default=0.3, ge=0, le=1, description="A reference this poor proves nothing."
    )
    min_images: int = added(3, ge=1, description="With fewer golden images nothing is certified.")
    few_images: int = added(20, ge=1, description="With fewer, the certificate says so.")
    min_class_images: int = added(
        1, ge=1, description="Golden images of each class that the labels name."
    )
    few_class_images: int = added(5, ge=1, description="With fewer, the certificate says so.")
    max_p95_ms: float | None = added(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Of one inference on the profile's hardware; None: any speed will do.",
    )


class BuildJob(Document):
    """All that the build child needs; paths are absolute and private to the build."""

    model_path: str
    source_sha256: Sha256
    manifest: ModelManifest
    profile: ProfileSpec
    calibration_dir: str
    calibration_sha256: Sha256
    golden_dir: str
    golden_sha256: Sha256
    output_dir: str
    limits: ParityLimits = ParityLimits()
    benchmark_runs: int = Field(default=30, ge=5, le=10_000)


class LatencyFigures(Message):
    """Milliseconds of one inference, input tensor in to output tensors out."""

    p50_ms: float
    p95_ms: float
    runs: int


MetricName = Literal["mean_iou", "character_accuracy", "accuracy", "map", "auroc", "text_f1"]


class ParityFigures(Message):
    """A candidate against the reference ONNX on the golden set, on its own runtime.

    ``metric`` is mean IoU of the classes for segmentation, 1 − CER for text recognition, mAP at
    IoU 0.50:0.95 for detection, top-1 accuracy for classification, AUROC for anomaly maps and the
    F1 of text boxes at IoU 0.5 for text detection.
    ``score_shift`` is the mean absolute difference of scores over all golden images.
    """

    metric: MetricName
    reference: float
    artifact: float
    share: float = Field(description="artifact / reference")
    per_class: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="label: (reference, artifact)"
    )
    per_slice: dict[str, tuple[float, float]] = added(
        {}, description='"light=evening": (reference, artifact)'
    )
    score_shift: float
    agreement: float = Field(description="Share of golden images with the same answer.")
    images: int
    class_images: dict[str, int] = added(
        {}, description="Golden images in whose labels a class stands."
    )


class Candidate(Message):
    """One precision that was tried, and what became of it."""

    precision: Precision
    runtime: RuntimeName | None = Field(
        default=None, description="Only where a build chose among several."
    )
    outcome: Literal["chosen", "slower", "refused", "failed"]
    reason: str = Field(description="One sentence for a person.")
    parity: ParityFigures | None = None
    latency: LatencyFigures | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None


class ParityCertificate(Message):
    """Signed figures of an artifact against its reference. No certificate, no rollout."""

    schema_version: Literal[1] = 1
    source_sha256: Sha256
    manifest_sha256: Sha256
    artifact_sha256: Sha256
    golden_sha256: Sha256
    calibration_sha256: Sha256
    profile: Slug
    runtime: RuntimeName
    runtime_version: str
    precision: Precision
    parity: ParityFigures
    limits: ParityLimits
    latency: LatencyFigures
    toolchain: dict[str, str] = Field(default_factory=dict)
    built_on: dict[str, str] = Field(default_factory=dict)
    compute_device: ComputeDevice = added(ComputeDevice.CPU)
    warnings: tuple[str, ...] = added((), description="What the figures do not show.")


class BuildProgress(Message):
    """A line of the live log. ``share`` is how much of the whole build is done, 0 to 1."""

    event: Literal["progress"] = "progress"
    step: Literal["simplify", "quantise", "convert", "benchmark", "parity", "choose"]
    share: float = Field(ge=0, le=1)
    detail: str
    recipe: Optional[BuildRecipe] = added(
        None, description="Once, before any work: whoever has its outcome already ends the child."
    )


class BuildOutcome(Message):
    """The last line of the child: what was built, or why nothing may be used."""

    event: Literal["outcome"] = "outcome"
    outcome: Literal["succeeded", "refused", "failed"]
    reason: str
    candidates: tuple[Candidate, ...]
    artifact_path: str | None = Field(default=None, description="Absolute, in output_dir.")
    artifact_sha256: Sha256 | None = None
    artifact_bytes: int | None = None
    certificate: ParityCertificate | None = None
    manifest: ModelManifest | None = Field(
        default=None,
        description="With a success: the job's manifest, its alphabet read from the model.",
    )
    is_final: bool = added(
        True, description="False: this machine could not, now; another attempt may do."
    )


BuildEvent = Annotated[Union[BuildProgress, BuildOutcome], Field(discriminator="event")]
BUILD_EVENT: TypeAdapter[BuildProgress | BuildOutcome] = TypeAdapter(BuildEvent)

__all__ = [
    "BUILD_EVENT",
    "BatchRange",
    "BuildJob",
    "BuildOutcome",
    "BuildProgress",
    "Candidate",
    "ComputeCapability",
    "InspectionProblem",
    "InspectionReport",
    "InspectionResult",
    "LatencyFigures",
    "ParityCertificate",
    "ParityFigures",
    "ParityLimits",
    "ProfileSpec",
    "RuntimeSupport",
    "TensorFacts",
    "TensorRtProfile",
    "TensorSpec",
    "VersionBeginning",
]
