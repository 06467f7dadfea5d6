"""Reads: who may see which rollout, what a device should run, what a stage has shown."""

from server.rollouts.selectors.evidence import evidence_for
from server.rollouts.selectors.goals import generation_of, goal_of
from server.rollouts.selectors.members import (
    devices_in_rollouts,
    eligible_devices,
    revertible_deployments,
    targets_for,
)
from server.rollouts.selectors.rollouts import rollout_for, rollouts_for

__all__ = [
    "devices_in_rollouts",
    "eligible_devices",
    "evidence_for",
    "generation_of",
    "goal_of",
    "revertible_deployments",
    "rollout_for",
    "rollouts_for",
    "targets_for",
]
