"""What needs somebody now, and what happened last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse

from fleet_ui.access import Sites
from fleet_ui.reads.devices import not_running_goal, seen_devices
from fleet_ui.reads.presence import conditions
from fleet_ui.reads.rollouts import ACTIVE, RolloutRow, rollout_rows
from server.accounts.models import User
from server.accounts.scope import site_names
from server.builds.models import Artifact, Build
from server.builds.states import BuildState
from server.fleet.models import Device, ProfileProposal
from server.fleet.states import DeviceState
from server.lib.models import StateEvent
from server.rollouts.models import Rollout
from server.rollouts.selectors.rollouts import rollouts_for
from server.rollouts.states import RolloutState
from server.trust import standings

NAMES_SHOWN, EVENTS_SHOWN, EVENTS_READ, ENDED_SHOWN = 4, 12, 300, 5


@dataclass(frozen=True)
class Attention:
    """One line of "needs attention": what, why, and where to go."""

    word: str
    label: str
    what: str
    why: str
    link: str
    at: datetime | None = None


@dataclass(frozen=True)
class News:
    """A recent move of something with a name."""

    event: StateEvent
    subject: str
    name: str
    link: str


def active_rollouts(user: User) -> list[RolloutRow]:
    """Rollouts that are not over."""
    return rollout_rows(rollouts_for(user).filter(state__in=ACTIVE))


def attention(user: User, active: Iterable[RolloutRow], now: datetime) -> list[Attention]:
    """Everything that waits for a person, worst first."""
    lines = [
        *_rollouts(active),
        *_stopped(user),
        *_builds(),
        *_trust(now),
        *_proposals(),
        *_devices(site_names(user), now),
    ]
    order = {"failed": 0, "refused": 0, "offline": 0, "overdue": 0}
    return sorted(lines, key=lambda line: order.get(line.word, 1))


def recent_news(user: User) -> list[News]:
    """The latest moves of devices, builds and rollouts in scope."""
    subjects = ("rollout", "build", "device")
    events = list(StateEvent.objects.filter(subject__in=subjects).order_by("-id")[:EVENTS_READ])
    ids = {subject: [e.subject_id for e in events if e.subject == subject] for subject in subjects}
    rollouts = {str(r.pk): r for r in rollouts_for(user).filter(pk__in=ids["rollout"])}
    devices = {str(d.pk): d for d in seen_devices(site_names(user)).filter(pk__in=ids["device"])}
    builds = {
        str(b.pk): b
        for b in Build.objects.filter(pk__in=ids["build"]).select_related(
            "version__model", "profile"
        )
    }
    rows: dict[str, dict[str, Rollout] | dict[str, Device] | dict[str, Build]]
    rows = {"rollout": rollouts, "device": devices, "build": builds}
    news = []
    for event in events:
        row = rows[event.subject].get(event.subject_id)
        if row is not None:
            link = reverse(event.subject, args=[row.pk])
            news.append(News(event, event.subject, str(row), link))
    return news[:EVENTS_SHOWN]


def _rollouts(active: Iterable[RolloutRow]) -> Iterable[Attention]:
    for row in active:
        link = reverse("rollout", args=[row.rollout.pk])
        if row.failed:
            what = f"{row.failed} {_devices_word(row.failed)} failed in “{row.rollout}”"
            yield Attention("failed", "Rollout", what, row.rollout.reason, link)
        elif row.word in ("held", "paused"):
            why = row.rollout.reason or "; ".join(row.why)
            yield Attention(row.word, row.word, f"“{row.rollout}” is {row.word}", why, link)


def _stopped(user: User) -> Iterable[Attention]:
    """The newest rollout of a group, where it ended badly: nobody has tried again yet."""
    newer = Rollout.objects.filter(group=OuterRef("group"), epoch__gt=OuterRef("epoch"))
    ended = rollouts_for(user).filter(
        ~Exists(newer), state__in=(RolloutState.STOPPED, RolloutState.ROLLED_BACK)
    )
    for rollout in ended[:ENDED_SHOWN]:
        word = rollout.state.replace("_", " ")
        yield Attention(
            "failed" if rollout.state == RolloutState.STOPPED else "rolled_back",
            word,
            f"“{rollout}” was {word}",
            rollout.reason,
            reverse("rollout", args=[rollout.pk]),
            rollout.finished_at,
        )


def _builds() -> Iterable[Attention]:
    """Refused and failed builds that left a profile without an artifact."""
    made = Artifact.objects.filter(version=OuterRef("version"), profile=OuterRef("profile"))
    newer = Build.objects.filter(
        version__model=OuterRef("version__model"), version__gt=OuterRef("version")
    )
    builds = Build.objects.filter(
        ~Exists(made), ~Exists(newer), state__in=(BuildState.REFUSED, BuildState.FAILED)
    ).select_related("version__model", "profile")
    for build in builds[:ENDED_SHOWN]:
        yield Attention(
            build.state,
            f"Build {build.state}",
            str(build),
            build.reason,
            reverse("build", args=[build.pk]),
            build.finished_at,
        )


def _trust(now: datetime) -> Iterable[Attention]:
    """What people must sign, and what ends because nobody has."""
    link = reverse("trust")
    for late in standings.overdue(now):
        yield Attention("overdue", "", late.what, late.todo, link, late.at)
    for each in standings.waiting():
        what = each.what[:1].upper() + each.what[1:]
        yield Attention("waiting", "Signature", what, each.todo, link, each.since)


def _proposals() -> Iterable[Attention]:
    """Boxes that no profile fitted: they are not let in until somebody decides."""
    for proposal in ProfileProposal.objects.order_by("-asked_at")[:ENDED_SHOWN]:
        yield Attention(
            "pending",
            "No profile",
            f"No profile fits {proposal.serial}",
            f"{proposal.name} would, and waits to be accepted.",
            reverse("profiles"),
            proposal.asked_at,
        )


def _devices(sites: Sites, now: datetime) -> Iterable[Attention]:
    devices = seen_devices(sites)
    where = conditions(now)
    misfits = devices.exclude(misfit="").exclude(state=DeviceState.REVOKED)
    quarantined = Q(state=DeviceState.QUARANTINED)
    kinds: list[tuple[str, QuerySet[Device], str, str]] = [
        ("offline", devices.filter(where["offline"]), "offline", "presence=offline"),
        ("differs", not_running_goal(devices), "not running the goal", "goal=differs"),
        ("misfit", misfits, "no longer what the profile needs", "fit=no"),
        ("stale", devices.filter(where["stale"]), "late with the heartbeat", "presence=stale"),
        ("quarantined", devices.filter(quarantined), "in quarantine", "presence=quarantined"),
        ("pending", devices.filter(where["pending"]), "waiting to be let in", "presence=pending"),
    ]
    for word, rows, state, query in kinds:
        names = list(rows.order_by("serial").values_list("serial", flat=True))
        if names:
            count = len(names)
            yield Attention(
                word,
                "",
                f"{count} {_devices_word(count)} {state}",
                _some(names),
                f"{reverse('devices')}?{query}",
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    left = len(names) - NAMES_SHOWN
    return f"{shown} and {left} more" if left > 0 else shown


def _devices_word(count: int) -> str:
    return "device" if count == 1 else "devices"
