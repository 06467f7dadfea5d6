"""Messages between the agent and the inference child: JSON lines over stdin and stdout.

The child is started as ``python -m inference_core serve --job FILE``, where FILE is a
``ServeJob``. It answers with ``Ready`` or ``Fatal``, then with one event a frame.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Union

from pydantic import Field, TypeAdapter

from inference_core.contract.base import Message, Sha256, Slug, added
from inference_core.contract.release import ReleaseManifest
from inference_core.contract.results import FrameResult
from inference_core.contract.sampling import SampleDraw, SamplingPolicy
from inference_core.contract.words import FailureCause


class Camera(Message):
    """A source on a device; part of the device's configuration, not of the release."""

    name: Slug
    role: Slug = "main"
    address: str = Field(max_length=1000, description="For example file:///var/pictures.")
    frames_per_s: float = Field(default=2.0, gt=0, le=1000)
    mm_per_px: float | None = Field(default=None, gt=0)
    sinks: tuple[Annotated[str, Field(max_length=1000)], ...] = added(
        (), max_length=8, description="Where verdicts go too, e.g. mqtt://plc-broker/line1."
    )


class ServeJob(Message):
    """What the child must run. The agent has verified every file before it writes this."""

    release_sha256: Sha256
    release: ReleaseManifest
    artifacts: dict[Slug, str] = Field(description="Model name to the absolute path of its blob.")
    cameras: tuple[Camera, ...]
    threads: int = Field(default=1, ge=1)
    paused: bool = False
    spool_dir: str | None = Field(
        default=None, description="Where sampled frames are written as JPEG; None writes none."
    )
    sample_every_s: float = Field(default=5.0, gt=0)
    heartbeat_s: float = Field(default=2.0, gt=0)
    sampling: SamplingPolicy = added(SamplingPolicy())
    share_dir: str | None = added(
        None, description="Where frames are laid for another child to judge; None shares none."
    )


class Command(Message):
    """Agent to child. ``stop`` finishes the frame in hand and exits with 0."""

    command: Literal["pause", "resume", "stop"]


class ShareFrames(Message):
    """Agent to child: lay so many of the judged frames into the share folder, from now on."""

    command: Literal["share"] = "share"
    share: float = Field(ge=0, le=1)


class SetSampleRates(Message):
    """Agent to child: what the upload budget allows now. 1 is all that the policy wants."""

    command: Literal["sample"] = "sample"
    random: float = Field(ge=0, le=1)
    chosen: float = Field(ge=0, le=1, description="For uncertain, disagreeing and new frames.")


class JudgeFrame(Message):
    """Agent to child: judge a frame that another child has judged. Also while paused."""

    command: Literal["judge"] = "judge"
    path: str = Field(max_length=4000, description="A file in the share folder.")
    camera: Slug
    role: Slug = "main"
    sequence: int = Field(ge=0)
    source: str
    captured_at: datetime
    mm_per_px: float | None = Field(default=None, gt=0)


class Ready(Message):
    """All models are loaded and have run once."""

    event: Literal["ready"] = "ready"
    release_sha256: Sha256
    load_ms: float
    rss_bytes: int


class FrameDone(Message):
    """A frame was judged. ``sample_path`` is set when its picture lies in the spool folder."""

    event: Literal["frame"] = "frame"
    result: FrameResult
    sample_path: str | None = None
    sample: SampleDraw | None = added(
        None, description="Set with sample_path. Alone: drawn, but its picture could not be kept."
    )
    shared_path: str | None = added(
        None, description="The frame as it was judged; whoever reads it deletes it."
    )


class FrameJudged(Message):
    """The answer to ``JudgeFrame``; ``path`` is the file that was named there."""

    event: Literal["judged"] = "judged"
    path: str
    result: FrameResult | None = Field(default=None, description="None: it could not be read.")


class FrameLost(Message):
    """A frame gave no verdict: no input, a corrupt picture. Never the model's fault."""

    event: Literal["lost"] = "lost"
    camera: str
    cause: Literal["no_input", "corrupt_image", "too_late"]
    detail: str
    captured_at: datetime


class Heartbeat(Message):
    """Sent every ``heartbeat_s`` also when paused; silence means that the child hangs."""

    event: Literal["heartbeat"] = "heartbeat"
    rss_bytes: int
    captured: int
    done: int
    lost: int
    paused: bool


class Fatal(Message):
    """The child cannot go on and exits with 1."""

    event: Literal["fatal"] = "fatal"
    cause: FailureCause
    detail: str


AnyServeEvent = Union[Ready, FrameDone, FrameJudged, FrameLost, Heartbeat, Fatal]
ServeEvent = Annotated[AnyServeEvent, Field(discriminator="event")]
SERVE_EVENT: TypeAdapter[AnyServeEvent] = TypeAdapter(ServeEvent)

AnyAgentCommand = Union[Command, ShareFrames, SetSampleRates, JudgeFrame]
AgentCommand = Annotated[AnyAgentCommand, Field(discriminator="command")]
AGENT_COMMAND: TypeAdapter[AnyAgentCommand] = TypeAdapter(AgentCommand)
