"""One version: its line, its names, what is to be said of its licence, and where it ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from server.accounts.models import User
from server.builds import runs
from server.builds.runs import RunView
from server.fleet.models import Device, ReleaseRun
from server.lib.errors import Invalid
from server.registry.licences import LicenceWarning, warnings_of
from server.registry.lineage import lineage_of
from server.registry.models import Alias, AliasMove, ModelImport, ModelVersion, VisionModel

RUN_ROWS, MOVES_SHOWN, IMPORTS_SHOWN = 20, 20, 5


@dataclass
class Node:
    """A version in the tree of a line; ``is_shown`` is the one that the page is about."""

    version: ModelVersion
    is_shown: bool = False
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Tree:
    """The line of a version from its oldest ancestor on."""

    root: Node
    is_cut: bool


@dataclass(frozen=True)
class RunPage:
    """A page of runs; ``problem`` says what the asked moment lacks."""

    page: Page[ReleaseRun]
    rows: list[RunView]
    at: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Origin:
    """What was told of a version, as pairs: a template would take the key "items" for a method."""

    metrics: list[tuple[str, float]]
    recipe: list[tuple[str, Any]]
    tags: list[tuple[str, str]]
    metadata: list[tuple[str, str]]


def origin_of(version: ModelVersion) -> Origin:
    """All of it in the order in which it was told; the recipe without its name."""
    recipe, source = version.recipe or {}, version.source or {}
    return Origin(
        metrics=list(version.metrics.items()),
        recipe=[(key, value) for key, value in recipe.items() if key != "name"],
        tags=list(source.get("tags", {}).items()),
        metadata=list(version.report.get("metadata", {}).items()),
    )


def tree_of(version: ModelVersion) -> Tree | None:
    """Its ancestors and descendants; None where it has neither."""
    line = lineage_of(version)
    if line.is_alone:
        return None
    nodes = {row.pk: Node(row) for row in (*line.ancestors, version, *line.descendants)}
    nodes[version.pk].is_shown = True
    for node in nodes.values():
        above = nodes.get(node.version.parent_id or 0)
        if above is not None:
            above.children.append(node)
    return Tree(nodes[(line.ancestors or (version,))[0].pk], line.is_cut)


def aliases_of(model: VisionModel) -> list[Alias]:
    """By name, those that name no version now too."""
    return list(model.aliases.select_related("version"))


def moves_of(model: VisionModel) -> list[AliasMove]:
    """The latest moves of all of its aliases, the newest first."""
    moves = AliasMove.objects.filter(alias__model=model).select_related("alias", "old", "new")
    return list(moves[:MOVES_SHOWN])


def imports_of(model: VisionModel) -> list[ModelImport]:
    """The latest imports, the newest first."""
    return list(model.imports.all()[:IMPORTS_SHOWN])


def licence_warnings(version: ModelVersion) -> list[LicenceWarning]:
    """What a person should know before the version goes into a product."""
    return warnings_of(version.licence, version.report.get("metadata", {}))


def runs_of_version(user: User, version: ModelVersion, number: str | None, at: str) -> RunPage:
    """Where it ran, at a day or an instant where ``at`` names one."""
    found = runs.of_version(runs.runs_for(user), version.model.name, version.version)
    if at:
        try:
            found = runs.at(found, at)
        except Invalid as error:
            return RunPage(_page(found.none(), None), [], at, error.detail)
    return _read(found, number, at)


def runs_of_device(user: User, device: Device, number: str | None) -> RunPage:
    """What it ran."""
    return _read(runs.runs_for(user).filter(device=device), number)


def _read(found: QuerySet[ReleaseRun], number: str | None, at: str = "") -> RunPage:
    page = _page(found, number)
    return RunPage(page, runs.read_runs(list(page)), at)


def _page(found: QuerySet[ReleaseRun], number: str | None) -> Page[ReleaseRun]:
    return Paginator(found, RUN_ROWS).get_page(number)
