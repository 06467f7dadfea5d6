"""What a keyholder does, on a machine without network and without the server. No Django."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from server.lib.errors import DomainError, Invalid
from server.trust import holders, judging
from server.trust.console import passphrases
from server.trust.describing import describe
from server.trust.judging import Count, Documents
from server.trust.public_keys import fingerprint, name_of
from server.trust.request_file import RequestFile, read_request, write_request


def make_keys(options: argparse.Namespace) -> int:
    """``trust keys FOLDER``: encrypted keys of root and targets, and who holds them."""
    if not 1 <= options.threshold <= options.keys <= 20:
        raise Invalid("--threshold lies between 1 and --keys, which is at most 20.")
    folder: Path = options.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for role in ("root", "targets"):
        made = []
        for number in range(1, options.keys + 1):
            path = folder / f"{role}-{number}.pem"
            phrase = passphrases.ask_new(path.name, options.passphrase_file)
            made.append(holders.make_key_file(path, holder=f"{role} {number}", passphrase=phrase))
            _say(f"{path}: {fingerprint(made[-1])}")
        holders.write_keyholders(folder / f"{role}.pub", made, options.threshold)
    _say(
        "Give the server the two files with public keys, and nothing else:\n"
        f"  python -m server trust init --root {folder}/root.pub --targets {folder}/targets.pub"
    )
    return 0


def make_key(options: argparse.Namespace) -> int:
    """``trust key FILE --holder NAME``: one encrypted key of one person."""
    path: Path = options.file.with_suffix(".pem")
    phrase = passphrases.ask_new(path.name, options.passphrase_file)
    key = holders.make_key_file(path, holder=options.holder, passphrase=phrase)
    _say(f"{path} is yours alone; give others {holders.public_path(path)}: {name_of(key)}")
    return 0


def join_keys(options: argparse.Namespace) -> int:
    """``trust join FILE PUB… --threshold N``: public keys of several people in one file."""
    public = [key for path in options.public for key in holders.read_keyholders(path).public]
    if not 1 <= options.threshold <= len({key.keyid for key in public}):
        raise Invalid(f"{options.threshold} of {len(public)} keys cannot sign.")
    holders.write_keyholders(options.file, public, options.threshold)
    _say(f"{options.file}: {options.threshold} of {', '.join(map(name_of, public))}")
    return 0


def sign(options: argparse.Namespace) -> int:
    """``trust sign REQUEST --key FILE``: shows what would change, asks, signs."""
    request = read_request(options.request)
    pinned = holders.pinned_root(options.key) or _root_at(options.root)
    current, documents = request.judge(pinned), request.documents
    _show(documents, current, pinned)
    signer = holders.load_key_file(
        options.key, passphrases.ask(options.key.name, options.passphrase_file)
    )
    roles = _roles_to_sign(documents, current, signer)
    if not options.yes and not _confirmed(roles):
        _say("Nothing was signed.")
        return 1
    for role in roles:
        documents[role].sign(signer, append=True)
    write_request(options.request, request.with_documents(documents))
    holders.pin_root(options.key, current.get("root") or documents["root"])
    _say(f"Signed {' and '.join(roles)}. {missing_words(documents, current)}")
    return 0


def show(options: argparse.Namespace) -> int:
    """``trust show REQUEST``: the same words, without a key."""
    request: RequestFile = read_request(options.request)
    pinned = _root_at(options.root)
    current = request.judge(pinned)
    _show(request.documents, current, pinned)
    _say(missing_words(request.documents, current))
    return 0


def missing_words(documents: Documents, current: Documents) -> str:
    """Who must still sign, as sentences."""
    counts = [c for c in judging.count_signatures(documents, current) if not c.is_met]
    if not counts:
        return "Enough have signed: import the file on the server, `python -m server trust import`."
    return " ".join(map(missing_sentence, counts))


def missing_sentence(count: Count) -> str:
    """What one keeper still wants."""
    whose = ", ".join(map(name_of, count.unsigned.values())) or "nobody who has not signed"
    return f"{count.role} lacks {count.missing} of {count.threshold} for {count.by}: {whose}."


def _show(documents: Documents, current: Documents, pinned: Metadata[Root] | None) -> None:
    for line in describe(documents, current, datetime.now(timezone.utc)):
        _say(line)
    if "root" not in current:
        _say("This is the first root: compare the fingerprints above with those who hold the keys.")
    elif pinned is None:
        _say("This key has not signed before. The root that the server says it has is kept by:")
        root = current["root"].signed
        for keyid in root.roles["root"].keyids:
            _say(f"  - {name_of(root.keys[keyid])}")
        _say("Compare with what you know, or name a root that you trust with --root.")


def _roles_to_sign(documents: Documents, current: Documents, signer: CryptoSigner) -> list[str]:
    keyid = signer.public_key.keyid
    counts = judging.count_signatures(documents, current)
    roles = [c.role for c in counts if keyid in c.unsigned]
    if not roles:
        has_signed = any(keyid in count.signed for count in counts)
        raise Invalid(
            "This key has signed this request already."
            if has_signed
            else f"This key ({fingerprint(signer.public_key)}) may sign nothing in this request."
        )
    return list(dict.fromkeys(roles))


def _confirmed(roles: list[str]) -> bool:
    _say(f"Sign {' and '.join(roles)}? Type yes: ", end="")
    return sys.stdin.readline().strip() == "yes"


def _root_at(path: Path | None) -> Metadata[Root] | None:
    if path is None:
        return None
    try:
        root: Metadata[Root] = Metadata.from_file(str(path))
    except (DomainError, OSError, ValueError) as error:
        raise Invalid(f"{path} is no root metadata: {error}") from None
    return root


def _say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()
