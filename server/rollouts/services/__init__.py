"""The only writers of rollouts, stages, deployments and goals."""

from server.rollouts.services.deployments import (
    end_deployment,
    report_progress,
    write_deployment,
)
from server.rollouts.services.rollouts import (
    create_rollout,
    pause_rollout,
    resume_rollout,
    roll_back_rollout,
    start_rollout,
    stop_rollout,
)
from server.rollouts.services.shadows import start_shadow, stop_shadow
from server.rollouts.services.stages import open_stage
from server.rollouts.services.ticks import tick_rollout

__all__ = [
    "create_rollout",
    "end_deployment",
    "open_stage",
    "pause_rollout",
    "report_progress",
    "resume_rollout",
    "roll_back_rollout",
    "start_rollout",
    "start_shadow",
    "stop_rollout",
    "stop_shadow",
    "tick_rollout",
    "write_deployment",
]
