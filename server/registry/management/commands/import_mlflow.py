"""``manage.py import_mlflow MODEL NAME``: versions of a model in MLflow, here and now."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rest_framework.exceptions import ValidationError

from server.lib.errors import DomainError
from server.lib.fields import NameField
from server.registry import selectors, services
from server.registry.importing import run_import
from server.registry.mlflow.catalogue import list_versions
from server.registry.mlflow.transport import connect
from server.registry.models import ModelImport, VisionModel
from server.registry.states import IMPORT, ImportState

LOOK_S = 1.0


class Command(BaseCommand):
    """One line a version; ends with an error where one of them did not come."""

    help = "Import versions of a model from the MLflow server in LINEWARDEN_MLFLOW_URL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which model here, which there, and which of its versions."""
        parser.add_argument("model", help="the model here; it is made first, with its sets")
        parser.add_argument("name", help="the registered model in MLflow")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--number", help="one version by its number")
        which.add_argument("--alias", help="the version that this alias names now")
        which.add_argument("--all", action="store_true", help="every version; those here are kept")
        parser.add_argument("--version-name", default="", help="what it is called here: mlflow-3")
        parser.add_argument("--with-aliases", action="store_true", help="take its aliases along")

    def handle(self, *, model: str, name: str, **options: Any) -> None:
        """Import them one after the other."""
        try:
            row = selectors.model(model)
            wanted = _wanted(name, options)
        except DomainError as error:
            raise CommandError(error.detail) from error
        failed = [told for told in wanted if not self._import(row, name, told, options)]
        if failed:
            raise CommandError(f"{len(failed)} of {len(wanted)} did not come: {', '.join(failed)}.")

    def _import(self, model: VisionModel, name: str, told: str, options: dict[str, Any]) -> bool:
        version = _name_of(options["version_name"] or f"mlflow-{told.lstrip('@')}")
        if options["all"] and model.versions.filter(version=version).exists():
            self.stdout.write(f"{version}: is here already")
            return True
        try:
            asked = services.request_import(
                model=model,
                version=version,
                foreign_name=name,
                foreign_version=told,
                actor="console",
                wanted={"with_aliases": options["with_aliases"]},
            )
        except DomainError as error:
            self.stderr.write(f"{version}: {error.detail}")
            return False
        ended = _see_through(asked)
        self.stdout.write(f"{version}: {ended.state}. {ended.reason}".strip())
        return ended.state == ImportState.SUCCEEDED


def _see_through(asked: ModelImport) -> ModelImport:
    """Do it here, or wait for the worker that was faster, or for the import that runs now."""
    while asked.state in IMPORT.open:
        run_import(asked.pk)
        asked.refresh_from_db()
        if asked.state in IMPORT.open:
            time.sleep(LOOK_S)
    return asked


def _name_of(told: str) -> str:
    try:
        return str(NameField(max_length=50).run_validation(told))
    except ValidationError as error:
        raise CommandError(
            f"{told!r} is no name of a version: give --version-name, lower-case letters and digits "
            "with single . _ or - between them."
        ) from error


def _wanted(name: str, options: dict[str, Any]) -> list[str]:
    if options["all"]:
        return [version.number for version in list_versions(connect(), name)]
    return [options["number"] or f"@{options['alias']}"]
