"""What is done where the server's database is: ask, take in, publish. Needs Django."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from inference_core.contract.release import ANY_PROFILE
from server.lib import clock
from server.lib.errors import Conflict, Invalid
from server.trust import ceremonies, keys, standings
from server.trust.ceremonies import Outcome
from server.trust.console.offline import missing_sentence
from server.trust.holders import Keyholders, read_keyholders
from server.trust.models import SigningRequest
from server.trust.public_keys import fingerprint, name_of, read_keys
from server.trust.repository import cosigned_role
from server.trust.request_file import read_request, write_request
from server.trust.selectors import newest
from server.trust.services import renew_profile, withdraw_artifact
from server.trust.storing import ONLINE, role_of, standing
from server.trust.wishes import open_wishes


def init(options: argparse.Namespace) -> int:
    """``trust init``: root and targets of a new installation, or of one that signed for itself."""
    holders = _keyholders(options, ("root", "targets"))
    if set(holders) != {"root", "targets"}:
        raise Invalid("Name the public keys of both: --root FILE --targets FILE.")
    if newest("root") is None:
        ceremonies.wish_online(roles=[r for r in ONLINE if not _is_wished(r)], actor=_actor())
    ceremonies.wish_top_level(
        keyholders={role: (found.public, found.threshold) for role, found in holders.items()},
        actor=_actor(),
    )
    return _ask(options.to)


def rotate(options: argparse.Namespace) -> int:
    """``trust rotate ROLE``: new keys of a top-level role, or of the builder of a profile."""
    role = options.role
    if role in {"root", "targets"}:
        holders = _keyholders(options, (role,))
        if not holders:
            raise Invalid(f"Name the public keys that shall hold it: --{role} FILE.")
        ceremonies.wish_top_level(
            keyholders={r: (found.public, found.threshold) for r, found in holders.items()},
            actor=_actor(),
        )
        return _ask(options.to)
    if role == "online" or role in ONLINE:
        ceremonies.wish_online(roles=ONLINE if role == "online" else [role], actor=_actor())
        return _ask(options.to)
    return _rotate_builder(options)


def request(options: argparse.Namespace) -> int:
    """``trust request [PROFILE]``: write what waits for signatures into a file."""
    if options.profile is None:
        return _ask(options.to)
    found = ceremonies.request_about(cosigned_role(options.profile))
    return _export(found, options.to)


def take_in(options: argparse.Namespace) -> int:
    """``trust import REQUEST``: publish what enough people have signed."""
    outcome = ceremonies.take_in(file=read_request(options.request), actor=_actor())
    if outcome.is_published:
        _say("Published. Devices walk to it with their next update.")
        return 0
    _say("Kept. It is not published yet:")
    for count in outcome.counts:
        _say(f"  {missing_sentence(count)}")
    return 0


def cosign(options: argparse.Namespace) -> int:
    """``trust cosign PROFILE --person FILE… | --off``: who signs releases beside the builder."""
    if bool(options.person) == options.off:
        raise Invalid("Name the public keys of persons with --person, or say --off.")
    persons = [key for path in options.person for key in read_keyholders(path).public]
    ceremonies.wish_persons(profile=options.profile, persons=persons, actor=_actor())
    return _ask(options.to)


def renew(options: argparse.Namespace) -> int:
    """``trust renew PROFILE``: its builder signs anew, after its key was rotated."""
    done = renew_profile(ANY_PROFILE if options.profile == "agent" else options.profile)
    _say("Signed anew." if done else "It is signed with the keys that it has now.")
    return 0


def withdraw(options: argparse.Namespace) -> int:
    """``trust withdraw PROFILE SHA256``: no device takes this artifact from now on."""
    paths = withdraw_artifact(profile=options.profile, sha256=options.sha256, actor=_actor())
    for path in paths:
        _say(f"withdrawn: {path}")
    return 0


def status(_options: argparse.Namespace) -> int:
    """``trust status``: who signs what, what ends when, what waits. Exit status 3: act now."""
    now = clock.now()
    for row in standings.role_standings(now):
        ends = f"ends {row.expires_at:%Y-%m-%d}" if row.expires_at else "not signed yet"
        where = "key here" if row.is_signed_here else "key elsewhere"
        who = ", ".join(row.holders)
        _say(f"{row.role:<32} v{row.version:<5} {ends}  {where}; {row.threshold} of {who}")
        for path in row.idle_keys:
            _say(f"    {path} signs nothing any more: remove it")
    for wish in open_wishes():
        here = [s.public_key.keyid for s in keys.signers_among(wish.role, list(wish.keys))]
        for key in read_keys(wish.keys):
            where = "made on this machine" if key.keyid in here else "made elsewhere"
            _say(f"WISHED {wish.role}: {name_of(key)}, {where}")
    for each in standings.waiting():
        _say(f"WAITS  {each.what}: {each.todo}")
    found = standings.overdue(now)
    for late in found:
        _say(f"OVERDUE  {late.what}. {late.todo}")
    return 3 if found else 0


def _rotate_builder(options: argparse.Namespace) -> int:
    profile = ANY_PROFILE if options.role == "agent" else options.role
    if standing(role_of(profile)) is None:
        raise Invalid(f"There is no role or profile {options.role!r} that has a key.")
    key = ceremonies.wish_builder(profile=profile, actor=_actor(), is_added=options.add)
    _say(f"The new key, made on this machine: {fingerprint(key)}")
    return _ask(options.to)


def _ask(path: Path) -> int:
    outcome: Outcome = ceremonies.ask_offline(actor=_actor())
    if outcome.request is None:
        _say("Signed with the keys on this machine, and published.")
        return 0
    return _export(outcome.request, path)


def _export(found: SigningRequest, path: Path) -> int:
    if path.exists() and read_request(path).request != found.pk:
        raise Conflict(f"{path} holds another request; move it away, or choose another with --to.")
    write_request(path, ceremonies.export(found))
    for count in ceremonies.missing_signatures(found):
        _say(missing_sentence(count))
    command = f"python -m server trust sign {path.name} --key KEY.pem"
    _say(f"Written to {path}. Let it be signed: {command}")
    return 0


def _keyholders(options: argparse.Namespace, roles: tuple[str, ...]) -> dict[str, Keyholders]:
    given = {role: getattr(options, role) for role in roles}
    return {role: read_keyholders(path) for role, path in given.items() if path is not None}


def _is_wished(role: str) -> bool:
    return open_wishes().filter(role=role).exists()


def _actor() -> str:
    try:
        return f"console {getpass.getuser()}"
    except (KeyError, OSError):  # a container whose user has no name
        return "console"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
