"""What a device and the server say to each other about identity, intent and progress."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from inference_core.contract.base import Message, Sha256, Slug, added
from inference_core.contract.release import TargetRef
from inference_core.contract.sampling import SamplingPolicy
from inference_core.contract.serve import Camera
from inference_core.contract.window import UpdateWindow
from inference_core.contract.words import DeploymentPhase, FailureCause, RuntimeName

REPORT_HEADER = "Linewarden-Report"
"""Request header of ``GET goal``: a ``Report`` as compact JSON."""

ASSERTION_LIFETIME_S = 60
ACCESS_TOKEN_LIFETIME_S = 15 * 60


class DeviceFacts(Message):
    """What the device says of itself; absent is unknown."""

    architecture: str
    system: str
    kernel: str = ""
    cpu_model: str = ""
    cpu_count: int = Field(ge=1)
    memory_bytes: int = Field(ge=0)
    board: str = ""
    soc: str = ""
    runtimes: dict[str, str] = Field(default_factory=dict, description="Name to version.")
    agent_version: str = ""
    python_version: str = ""
    platform: Literal["jetson", "raspberry_pi", "coral", "generic"] = added("generic")
    accelerators: tuple[Slug, ...] = added((), description="Chips found, for example edgetpu-usb.")
    software: dict[str, str] = added(
        {},
        description="Name to version of what an engine is bound to: l4t, jetpack, cuda, tensorrt, "
        "nvidia_driver, os.",
    )
    gpu: str = added("", max_length=200, description="NVIDIA's GPU by the name of its driver.")
    compute_capability: str = added(
        "", max_length=10, description='The generation of that GPU, for example "8.7".'
    )


class EnrolmentRequest(Message):
    """``POST enrol``. The private key of ``public_key`` never leaves the device."""

    token: str = Field(min_length=16, max_length=200)
    serial: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    public_key: str = Field(max_length=1000, description="Ed25519, PEM SubjectPublicKeyInfo.")
    profile: Slug | None = Field(default=None, description="None asks the server to match facts.")
    facts: DeviceFacts
    variant: Slug | None = added(None, description="The arm that this box was in before.")


class EnrolmentReply(Message):
    """The device's name at the server, and the root of trust for artifacts."""

    device_id: UUID
    state: Literal["pending", "accepted"]
    profile: Slug
    tuf_root: str = Field(description="Trusted initial root metadata, JSON text.")
    poll_s: float
    server_time: datetime


class FactsReply(Message):
    """Answer to ``PUT facts``, which carries ``DeviceFacts``."""

    profile: Slug
    misfit: str = Field(description="What the profile needs and the facts deny; empty fits.")


class Broker(Message):
    """Where the doorbell is: an MQTT 5 broker that asks for a client certificate."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=8883, ge=1, le=65535)


class CertificateRequest(Message):
    """``POST certificate``: a PKCS #10 request signed with the device's own key."""

    csr: str = Field(max_length=4000, description="PEM.")


class CertificateReply(Message):
    """A short-lived client certificate, named after the device, for the broker."""

    certificate: str = Field(description="PEM, the device's own certificate first.")
    ca: str = Field(description="PEM of the authority that signs the broker's certificate.")
    not_before: datetime
    not_after: datetime


class TokenRequest(Message):
    """``POST token``: an EdDSA JWT with iss and sub = device id, aud, exp ≤ 60 s, unique jti."""

    assertion: str = Field(max_length=4000)


class TokenReply(Message):
    """A short access token, sent as ``Authorization: Bearer``."""

    access_token: str
    expires_in_s: int
    server_time: datetime


class Report(Message):
    """What the device runs, in every poll."""

    boot_id: UUID
    generation: int = 0
    running_sha256: Sha256 | None = None
    phase: DeploymentPhase | None = None
    agent_version: str = ""
    variant: Slug | None = added(None, description="The arm of an experiment that it keeps to.")
    shadow_sha256: Sha256 | None = added(None, description="The release that runs in the shadow.")
    may_build: bool = added(False, description="Willing to build and judge for its own profile.")


class ProbationLimits(Message):
    """How a release proves itself on live frames after activation."""

    min_frames: int = Field(default=20, ge=1)
    max_duration_s: float = Field(default=120.0, gt=0, description="Too few frames by then: fail.")
    max_faults: int = Field(default=0, ge=0)
    max_p95_ms: float | None = Field(default=None, gt=0)
    max_rss_bytes: int | None = Field(default=None, gt=0)
    max_silence_s: float = Field(default=15.0, gt=0)
    max_offline_s: float = added(
        600.0, gt=0, description="A server that was reached before must be reached again by then."
    )
    min_agreement: float | None = added(
        None,
        gt=0,
        le=1,
        description="Share of live frames on which old and new release say the same.",
    )


class DeploymentRef(Message):
    """The deployment that a goal belongs to; ``version`` counts its accepted changes."""

    id: UUID
    version: int = Field(ge=0)


class DeviceConfig(Message):
    """Configuration that is the device's own and outlives releases."""

    cameras: tuple[Camera, ...] = ()
    sample_every_s: float = Field(default=10.0, gt=0)
    sampling: SamplingPolicy = added(SamplingPolicy())


class ShadowLimits(Message):
    """What a release in the shadow may cost the device."""

    share: float = Field(default=0.1, gt=0, le=1, description="Of the frames that are judged.")
    max_cpu_share: float = Field(default=0.25, gt=0, le=64, description="1 is one whole core.")


class AgentRef(Message):
    """The agent's own code that a device should run: a signed wheel."""

    target: TargetRef
    version: str = Field(pattern=r"^[0-9][0-9a-z.-]{0,39}$")


class BuildOffer(Message):
    """In a goal: this device may build this now, and no other device may meanwhile."""

    turn: int = Field(ge=1)
    build: int = Field(ge=1)
    runtime: RuntimeName
    download_bytes: int = Field(ge=0, description="Of the model and both sets.")


class CheckOffer(Message):
    """In a goal: this device may judge the golden cases of a release for its profile now."""

    turn: int = Field(ge=1)
    check: int = Field(ge=1)
    runtime: RuntimeName
    download_bytes: int = Field(ge=0, description="Of models, artifacts and golden sets.")


class Goal(Message):
    """What the device should run. ``generation`` only grows; the highest one wins."""

    generation: int = Field(ge=0)
    release: TargetRef | None = None
    deployment: DeploymentRef | None = None
    variant: Slug | None = None
    shadow: TargetRef | None = None
    shadow_limits: ShadowLimits = added(ShadowLimits())
    config: DeviceConfig = DeviceConfig()
    probation: ProbationLimits = ProbationLimits()
    rate_cap_bytes_s: int | None = Field(default=None, gt=0)
    poll_s: float = Field(default=30.0, gt=0)
    window: UpdateWindow | None = added(None, description="None: activate at any time.")
    broker: Broker | None = added(None, description="None: this server has no doorbell.")
    agent: AgentRef | None = added(None, description="None: keep the agent that runs.")
    wanted_logs: UUID | None = added(None, description="Somebody waits for a log bundle.")
    build: BuildOffer | None = added(None, description="A build that this device may do now.")
    check: CheckOffer | None = added(None, description="Golden cases that it may judge now.")


class ProgressError(Message):
    """Why a phase failed: a cause to group by, and a sentence for a person."""

    cause: FailureCause
    detail: str = Field(max_length=2000)


class Progress(Message):
    """``PATCH deployments/{id}``. ``seq`` counts the device's changes of this deployment."""

    seq: int = Field(ge=1)
    expected_version: int = Field(ge=0)
    phase: DeploymentPhase
    step_deadline_s: float | None = Field(default=None, gt=0)
    running_sha256: Sha256 | None = None
    error: ProgressError | None = None


class ProgressReply(Message):
    """The deployment as the server has it now; also the body of a 409 and a 410."""

    version: int
    seq: int
    phase: DeploymentPhase
