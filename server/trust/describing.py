"""What a document would change, in words for the person who signs it. Pure.

It compares metadata with metadata, and takes no word from the server that asks for signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Metadata, Root, TargetFile, Targets

from server.trust.judging import Documents
from server.trust.public_keys import name_of

MAX_LISTED = 200


def describe(documents: Documents, current: Documents, now: datetime) -> list[str]:
    """One line a change, under a heading for each document."""
    lines: list[str] = []
    for role, document in documents.items():
        old = current.get(role)
        lines.append(_heading(role, document, old, now))
        changes = list(_changes(document.signed, old.signed if old else None))
        lines += [f"  - {line}" for line in changes[:MAX_LISTED]]
        if len(changes) > MAX_LISTED:
            lines.append(f"  - and {len(changes) - MAX_LISTED} more, which are not shown")
        if not changes:
            lines.append("  - only the version and the day on which it ends")
    return [_printable(line) for line in lines]


def _printable(line: str) -> str:
    """Names come from files: none of them moves the cursor of the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _heading(role: str, document: Metadata[Any], old: Metadata[Any] | None, now: datetime) -> str:
    signed = document.signed
    days = (signed.expires - now).days
    before = f", after version {old.signed.version}" if old else ", the first"
    return (
        f"{role}: version {signed.version}{before}; "
        f"ends on {signed.expires:%d %B %Y}, in {days} days"
    )


def _changes(new: Root | Targets, old: Root | Targets | None) -> Iterator[str]:
    if isinstance(new, Root):
        for role, found in new.roles.items():
            before = old.roles[role] if isinstance(old, Root) else None
            keys = old.keys if isinstance(old, Root) else {}
            yield from _key_changes(
                f"the role {role}",
                _keys(found.keyids, new.keys),
                found.threshold,
                _keys(before.keyids, keys) if before else {},
                before.threshold if before else 0,
            )
        return
    before_targets = old if isinstance(old, Targets) else None
    yield from _delegation_changes(new, before_targets)
    yield from _target_changes(new.targets, before_targets.targets if before_targets else {})


def _delegation_changes(new: Targets, old: Targets | None) -> Iterator[str]:
    table, keys = _table(new)
    before, old_keys = _table(old)
    for role in [name for name in before if name not in table]:
        yield f"the role {role} is REMOVED: nobody vouches for its files any more"
    for role, found in table.items():
        known = before.get(role)
        if known is None:
            yield f"a NEW role {role} may vouch for {_paths(found)}"
        elif _paths(known) != _paths(found) or known.terminating != found.terminating:
            yield f"the role {role} may vouch for {_paths(found)}, before for {_paths(known)}"
        yield from _key_changes(
            f"the role {role}",
            _keys(found.keyids, keys),
            found.threshold,
            _keys(known.keyids, old_keys) if known else {},
            known.threshold if known else 0,
        )
    order = [role for role in before if role in table]
    if order != [role for role in table if role in before]:
        yield f"roles are asked in another order: {', '.join(table)}"


def _key_changes(
    what: str, new: dict[str, Key], threshold: int, old: dict[str, Key], before: int
) -> Iterator[str]:
    for keyid, key in new.items():
        if keyid not in old:
            yield f"{what} GETS the key {name_of(key)}"
        elif old[keyid].to_dict() != key.to_dict():
            yield f"{what} has the key {name_of(key)}, which was called {name_of(old[keyid])}"
    for keyid, key in old.items():
        if keyid not in new:
            yield f"{what} LOSES the key {name_of(key)}"
    if threshold != before:
        was = f", before {before}" if before else ""
        less = " (FEWER than before)" if threshold < before else ""
        yield f"{what} takes {threshold} of {len(new)} signatures{was}{less}"


def _target_changes(new: dict[str, TargetFile], old: dict[str, TargetFile]) -> Iterator[str]:
    for path, target in new.items():
        if path not in old:
            yield f"vouches for {path}: {_file(target)}"
        elif old[path] != target:
            yield f"vouches for OTHER content of {path}: {_file(target)}"
    for path in old:
        if path not in new:
            yield f"vouches no longer for {path}"


def _file(target: TargetFile) -> str:
    custom = target.custom if isinstance(target.custom, dict) else {}
    counter = f", counter {custom['counter']}" if custom.get("counter") else ""
    return f"{target.length} bytes{counter}, SHA-256 {target.hashes.get('sha256', 'none')}"


def _keys(keyids: list[str], keys: dict[str, Key]) -> dict[str, Key]:
    return {keyid: keys[keyid] for keyid in keyids if keyid in keys}


def _table(targets: Targets | None) -> tuple[dict[str, DelegatedRole], dict[str, Key]]:
    if targets is None or targets.delegations is None:
        return {}, {}
    return dict(targets.delegations.roles or {}), targets.delegations.keys


def _paths(role: DelegatedRole) -> str:
    return ", ".join(role.paths or [f"paths of hash {p}…" for p in role.path_hash_prefixes or []])
