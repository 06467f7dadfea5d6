"""How states, times and numbers are written: one table of tones, one spelling of units."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from fleet_ui.icons import ICONS
from inference_core.contract.addresses import redact

register = template.Library()

# Colour is never alone: every tone has a shape of its own, and the word stands beside it.
SHAPES = {
    "good": '<circle cx="5" cy="5" r="4"/>',
    "warn": '<path d="M5 1 9 8.5H1z"/>',
    "bad": '<path d="M5 .8 9.2 5 5 9.2.8 5z"/>',
    "moving": '<circle class="hollow" cx="5" cy="5" r="3.6"/><path d="M5 1.4a3.6 3.6 0 0 1 0 7z"/>',
    "idle": '<circle class="hollow" cx="5" cy="5" r="3.6"/>',
    "off": '<path d="M1.5 5h7"/>',
}

TONES = {
    "good": "online accepted succeeded passed pass committed chosen running_goal signed normal "
    "received ok yes finished done right",
    "warn": "stale quarantined paused hold held offline_some skipped differs not_running_its_goal "
    "warm too_late waived outgrown",
    "bad": "offline failed refused stopped rolled_back fail rejected timed_out revoked gap "
    "no_input corrupt_image cloned overdue no misfit wrong",
    "moving": "leased running open soaking acknowledged downloading verified staged activating "
    "probation waiting_window moving scheduled receiving inspecting",
    "idle": "pending queued draft waiting slower no_goal certified not_signed offered declined "
    "returned",
    "off": "withdrawn lost expired superseded removed never_seen not_built unknown not_known "
    "forgotten",
}
TONE_OF = {word: tone for tone, words in TONES.items() for word in words.split()}

Figure = float | None

SIZE_UNITS = ("B", "kB", "MB", "GB", "TB")

LABELS = {
    "yes": "Takes it",
    "no": "Cannot take it",
    "not_known": "Not known here",
    "misfit": "Profile no longer fits",
    "leased": "building",
    "differs": "Not its goal",
    "never_seen": "Never seen",
    "pass": "Pass",
    "fail": "Fail",
    "hold": "Hold",
    "running_goal": "Running its goal",
    "no_input": "No picture",
    "corrupt_image": "Broken pictures",
    "ok": "Good",
}


def tone_of(word: str) -> str:
    """The tone of a state; a word that the table lacks is idle, never good."""
    return TONE_OF.get(word, "idle")


@register.simple_tag
def chip(word: str, label: str = "") -> SafeString:
    """A status chip: shape, text and colour."""
    tone = tone_of(word)
    text = label or LABELS.get(word) or word.replace("_", " ").capitalize()
    return format_html(
        '<span class="chip" data-tone="{}">'
        '<svg class="chip-shape" viewBox="0 0 10 10" aria-hidden="true">{}</svg>{}</span>',
        tone,
        mark_safe(SHAPES[tone]),  # noqa: S308 - from the table above
        text[:1].upper() + text[1:],
    )


@register.simple_tag
def icon(name: str) -> SafeString:
    """A line drawing beside a word; never the only thing that says it."""
    return format_html(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>', ICONS[name]
    )


@register.filter
def tone(word: object) -> str:
    """The tone of a state, for an attribute."""
    return tone_of(str(word))


@register.filter
def spoken(word: object) -> str:
    """A word of the contract for people: ``timed_out`` is "timed out"."""
    return str(word).replace("_", " ")


@register.filter
def with_code(text: object) -> SafeString:
    """A sentence in which what stands between backticks is set as code."""
    parts = re.split(r"`([^`]+)`", str(text))
    shown = (
        format_html("<code>{}</code>" if i % 2 else "{}", part) for i, part in enumerate(parts)
    )
    return format_html_join("", "{}", ((part,) for part in shown))


@register.filter
def person(actor: str) -> str:
    """An actor of the audit log as a reader says it: ``user:ada`` is "ada"."""
    return actor.removeprefix("user:")


@register.filter
def redacted(address: str) -> str:
    """The address of a camera or a sink, without what may be a secret."""
    return redact(address)


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A time that the page turns into "12 s ago"; the absolute UTC is its title."""
    if value is None:
        return "never"
    at = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        at.isoformat(timespec="seconds"),
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        f"{at:%d %b %H:%M} UTC",
    )


def known(value: Figure | str) -> Figure:
    """``value``, or None also for the empty text that Django's templates write for nothing."""
    return None if value is None or isinstance(value, str) else float(value)


@register.filter
def grouped(value: Figure) -> str:
    """Digits in groups of three, with a narrow space."""
    number = known(value)
    return "–" if number is None else f"{number:,.0f}".replace(",", "\u202f")


@register.filter
def percent(value: Figure, digits: int = 1) -> SafeString | str:
    """A share of 0 to 1 as per cent."""
    share = known(value)
    return "–" if share is None else _with_unit(f"{share * 100:.{digits}f}", "%")


@register.filter
def ms(value: Figure) -> SafeString | str:
    """Milliseconds with three significant digits."""
    number = known(value)
    if number is None:
        return "–"
    return _with_unit(f"{number:.0f}" if number >= 100 else f"{number:.3g}", "ms")


@register.filter
def size(value: Figure) -> SafeString | str:
    """Bytes in the unit that keeps them short."""
    number, step = known(value), 0
    if number is None:
        return "–"
    while abs(number) >= 1000 and step < len(SIZE_UNITS) - 1:
        number, step = number / 1000, step + 1
    return _with_unit(f"{number:.3g}" if number < 1000 else f"{number:.0f}", SIZE_UNITS[step])


@register.filter
def figure(value: Figure) -> str:
    """A number of a gate, as short as it stays true."""
    number = known(value)
    if number is None:
        return "–"
    return grouped(number) if number.is_integer() else f"{number:.4g}"


@register.filter
def digest(value: str | None) -> SafeString | str:
    """The first twelve digits of a digest; all of it is the title."""
    if not value:
        return "–"
    return format_html('<code title="{}">{}</code>', value, value[:12])


def _with_unit(number: str, unit: str) -> SafeString:
    return format_html('{}&nbsp;<span class="unit">{}</span>', number, unit)
