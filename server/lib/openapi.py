"""What the OpenAPI document says of every address alike: how it refuses, and what it names."""

from __future__ import annotations

from typing import Any

from server.lib.fields import SLUG_PATTERN
from server.lib.problem import PROBLEM_JSON

PROBLEM = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457). Some have more members, for programs.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; for programs."},
        "detail": {"type": "string", "description": "What happened and what to do; for people."},
        "errors": {"description": "The fields that are wrong."},
    },
    "required": ["type", "title", "status", "code", "detail"],
}
DJANGO_SLUG = "^[-a-zA-Z0-9_]+$"
ANYTHING_OR_NULL = [{}, {"type": "null"}]
_REFUSALS = {"4XX": "The request is at fault; mend it.", "5XX": "The server is; try again later."}


def declare_problems(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """drf-spectacular's hook: every operation may answer with a problem document."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for methods in result["paths"].values():
        for operation in methods.values():
            operation["responses"] |= {
                status: {"description": words, "content": content}
                for status, words in _REFUSALS.items()
            }
    return result


def mend_schemas(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """drf-spectacular's hook: what it takes from Django's fields and is not so.

    Names have dots, and "anything or else null" is no choice: null is anything too.
    """
    _mend(result)
    return result


def _mend(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("pattern") == DJANGO_SLUG:
            node["pattern"] = SLUG_PATTERN
        if node.get("oneOf") == ANYTHING_OR_NULL:
            del node["oneOf"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            _mend(inner)
