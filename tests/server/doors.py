"""Every address of the server, from its own URL configuration: one added later is among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

_PARAMETER = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")


@dataclass(frozen=True)
class Door:
    """One pattern of an address, as Django writes it."""

    route: str

    @property
    def is_for_programs(self) -> bool:
        return self.route.startswith(("api/v1/", "device/"))

    @property
    def kinds(self) -> dict[str, str]:
        """Converter by parameter."""
        return {found["name"]: found["kind"] or "str" for found in _PARAMETER.finditer(self.route)}

    def address(self, values: Mapping[str, Any]) -> str:
        """With ``values`` in the place of its parameters, as they are."""
        return "/" + _PARAMETER.sub(lambda found: str(values[found["name"]]), self.route)

    def bodies(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The schema of the JSON body by verb, for an address of the OpenAPI document."""
        path = "/" + _PARAMETER.sub(lambda found: f"{{{found['name']}}}", self.route)
        found: dict[str, Any] = {}
        for verb, operation in schema["paths"].get(path, {}).items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                found[verb] = content["application/json"]["schema"]
        return found


def all_doors() -> list[Door]:
    return [Door(route) for route in _walk(get_resolver().url_patterns, "")]


def _walk(patterns: list[URLPattern | URLResolver], above: str) -> Iterator[str]:
    for pattern in patterns:
        route = above + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield route


def openapi() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)


def sample(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    """Something that a schema most likely allows; enough to change one thing in."""
    if "$ref" in schema:
        return sample(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]], whole)
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], whole)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: sample(part, whole) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"], whole)] if "items" in schema else []
    words = {"uuid": "7" * 8 + "-7777-4777-8777-" + "7" * 12, "date-time": "2026-11-29T00:00:00Z"}
    text = words.get(schema.get("format", ""), "abc")
    return {"string": text, "integer": 1, "number": 0.5, "boolean": True}.get(kind)
