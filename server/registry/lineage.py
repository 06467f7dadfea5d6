"""Where a version comes from, and what came of it: two queries, however long the line is."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from server.registry.models import ModelVersion

MAX_NODES, MAX_DEPTH = 200, 64

# A version's parent is older than it and never changes, so that no walk goes round.
_UP = """
WITH RECURSIVE line(id, parent_id, depth) AS (
    SELECT id, parent_id, 0 FROM registry_modelversion WHERE id = %s
    UNION ALL
    SELECT v.id, v.parent_id, line.depth + 1 FROM registry_modelversion v
    JOIN line ON v.id = line.parent_id WHERE line.depth < %s
) SELECT id FROM line WHERE depth > 0 ORDER BY depth DESC"""
_DOWN = """
WITH RECURSIVE line(id, depth) AS (
    SELECT id, 0 FROM registry_modelversion WHERE id = %s
    UNION ALL
    SELECT v.id, line.depth + 1 FROM registry_modelversion v
    JOIN line ON v.parent_id = line.id WHERE line.depth < %s
) SELECT id FROM line WHERE depth > 0 ORDER BY depth, id LIMIT %s"""


@dataclass(frozen=True)
class Lineage:
    """Ancestors from the oldest on, descendants with parents before their children.

    ``is_cut``: there are more than were read.
    """

    version: ModelVersion
    ancestors: tuple[ModelVersion, ...]
    descendants: tuple[ModelVersion, ...]
    is_cut: bool

    @property
    def is_alone(self) -> bool:
        """Whether it has neither ancestors nor descendants."""
        return not self.ancestors and not self.descendants


def lineage_of(version: ModelVersion) -> Lineage:
    """The line that ``version`` stands in: at most 64 steps up, 64 down and 200 descendants."""
    with connection.cursor() as cursor:
        cursor.execute(_UP, [version.pk, MAX_DEPTH])
        above = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(_DOWN, [version.pk, MAX_DEPTH, MAX_NODES + 1])
        below = [pk for (pk,) in cursor.fetchall()]
    rows = ModelVersion.objects.select_related("model", "parent__model", "trained_on")
    found = rows.defer("manifest_body", "report").in_bulk([*above, *below[:MAX_NODES]])
    return Lineage(
        version=version,
        ancestors=tuple(found[pk] for pk in above),
        descendants=tuple(found[pk] for pk in below[:MAX_NODES]),
        is_cut=len(above) == MAX_DEPTH or len(below) > MAX_NODES,
    )
