"""The specification of an installed connector, stored beside it until other code is installed.

That is done only in environments that this library made, and not for a package that is installed
in place (`-e`), whose code may change unnoticed. A specification contains no config, and therefore
no secret. `check`, `discover` and `read` always run anew.
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

    The connector is started unless its manifest has the specification, or it is stored.

    Raises:
        EtlAssetsError: It returns none.
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
    stored = kept if isinstance(kept, dict) else {}
    if stored.get("code") == code and isinstance(stored.get("spec"), dict):
        found: dict[str, Any] = stored["spec"]
        return found
    found = airbyte_answer(host, "SPEC", "spec", "spec")
    if code is not None:
        # Somebody else's environment may not be writable: it is asked every time.
        with contextlib.suppress(OSError):
            write_atomically(file, {"code": code, "spec": found})
    return found


def _code(environment: Environment, surroundings: Surroundings) -> Mapping[str, Any] | None:
    """Return what identifies the installed code, or None if nothing does.

    Installing, upgrading or removing a package changes the directory of packages.
    """
    installed = environment.installed()
    if installed is None or "-e" in environment.requirement.split():
        return None
    # With variables or arguments of the caller, the specification may be another one.
    if os.environ.get(MORE) or surroundings.env or surroundings.arguments:
        return None
    packages = sorted(environment.folder.glob("lib/python*/site-packages"))
    changed = {}
    for place in [Path(installed.executable), *packages]:
        found = place.stat()
        changed[place.name] = [found.st_mtime_ns, found.st_size]
    return {"at": installed.at, "version": installed.version, "changed": changed}
