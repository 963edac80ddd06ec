"""What an installed connector says of its config, kept beside it: it says the same until other code is installed.

Only of environments that were made here, and not of a package installed in place (`-e`), whose code
may change unseen. A specification knows no config, and so no secret. `check`, `discover` and `read`
are always asked anew.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etl_assets.connectors.asking import Host, airbyte_answer
from etl_assets.connectors.executors import ManifestExecutor, PythonExecutor
from etl_assets.connectors.install import Environment, write_atomically
from etl_assets.connectors.process import MORE
from etl_assets.connectors.surroundings import Surroundings
from etl_assets.connectors.workspace import read_json

FILE = "specification.json"


def specification(host: Host) -> dict[str, Any]:
    """Return an Airbyte connector's specification.

    Starts the connector, unless it or its manifest has said it before.

    Raises:
        EtlAssetsError: It gives none.
    """
    executor = host.executor
    if isinstance(executor, ManifestExecutor):
        declared = executor.manifest().get("spec") or {}
        return {"connectionSpecification": declared.get("connection_specification") or {}}
    if not isinstance(executor, PythonExecutor):
        return airbyte_answer(host, "SPEC", "spec", "spec")
    executor.ensure()
    file = executor.environment.folder / FILE
    code = _code(executor.environment, executor.surroundings)
    kept = read_json(file) if code is not None else None
    if isinstance(kept, dict) and kept.get("code") == code and isinstance(kept.get("spec"), dict):
        found: dict[str, Any] = kept["spec"]
        return found
    found = airbyte_answer(host, "SPEC", "spec", "spec")
    if code is not None:
        with contextlib.suppress(OSError):  # somebody else's environment: it is asked every time
            write_atomically(file, {"code": code, "spec": found})
    return found


def _code(environment: Environment, surroundings: Surroundings) -> Mapping[str, Any] | None:
    """Return what is installed from anything else that might be; None where that cannot be told.

    Whatever installs, upgrades or removes a package in the environment changes the directory of
    packages.
    """
    installed = environment.installed()
    if installed is None or "-e" in environment.requirement.split():
        return None
    if (
        os.environ.get(MORE) or surroundings.env or surroundings.arguments
    ):  # with these it may say something else
        return None
    places = [
        Path(installed.executable),
        *sorted(environment.folder.glob("lib/python*/site-packages")),
    ]
    return {
        "at": installed.at,
        "version": installed.version,
        "changed": {
            place.name: [place.stat().st_mtime_ns, place.stat().st_size] for place in places
        },
    }
