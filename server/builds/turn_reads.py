"""Reads of turns: whose they are, and what they are at."""

from __future__ import annotations

from server.builds.models import Build, BuildTurn, PipelineCheck
from server.builds.states import TurnState
from server.fleet.models import Device
from server.lib.errors import NotFound

_WITH = (
    "device",
    "build__profile",
    "build__version__model__golden",
    "build__version__model__calibration",
    "pipeline_check__profile",
    "pipeline_check__release__golden",
)


def open_turn(device: Device) -> BuildTurn | None:
    """What is this device's to do now, offered or begun; one query where there is nothing."""
    turns = BuildTurn.objects.exclude(state=TurnState.ENDED).filter(device=device)
    return turns.select_related(*_WITH).first()


def turn_of(device: Device, turn_id: int) -> BuildTurn:
    """The device's own turn of either kind; another device's is as if it did not exist."""
    turn = BuildTurn.objects.select_related(*_WITH).filter(pk=turn_id, device=device).first()
    if turn is None:
        raise NotFound("There is no such turn of this device's.")
    return turn


def build_of(turn: BuildTurn) -> Build:
    """What a turn at a build is at; NotFound for a turn at a check."""
    if turn.build is None:
        raise NotFound("There is no such build of this device's.")
    return turn.build


def check_of(turn: BuildTurn) -> PipelineCheck:
    """What a turn at golden cases is at; NotFound for a turn at a build."""
    if turn.pipeline_check is None:
        raise NotFound("There is no such check of this device's.")
    return turn.pipeline_check
