"""The OpenAPI document covers every address, without a guess."""

from __future__ import annotations

import re
from io import StringIO

import pytest
import yaml
from django.core.management import call_command


@pytest.mark.django_db
def test_the_whole_schema_generates_without_a_warning() -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    schema = yaml.safe_load(out.getvalue())
    assert {"/api/v1/me", "/api/v1/devices", "/api/v1/samples/{sample_id}/image"} <= set(
        schema["paths"]
    )
    assert schema["components"]["securitySchemes"]["apiToken"]["scheme"] == "bearer"
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    shown = schema["components"]["schemas"]
    assert re.fullmatch(shown["Site"]["properties"]["name"]["pattern"], "works-1.2")
    assert "oneOf" not in shown["Comparison"]["properties"]["figures"]
