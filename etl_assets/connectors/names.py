"""The names of connectors: entry points of installed packages, and the shipped index `known.json`.

The project's `connector_index/make.py` makes the index from a list of package names. It is not
complete: a connector that it lacks is given by `pip_url`, `local_executable`, `docker_image` or
`source_manifest`. Nothing here uses the network.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from etl_assets.arguments import TEXT, checked
from etl_assets.exceptions import ConnectorNotRegisteredError, InputError, did_you_mean, shorten

Protocol = Literal["airbyte", "singer"]
ENTRY_POINTS = "etl_assets.connectors"
"""The group of entry points under which a package declares connectors.

Each is `name = "package:protocol"`; see `docs/connectors.md`.
"""


class InstallType(StrEnum):
    """How a connector is run."""

    PYTHON = "python"
    YAML = "yaml"
    JAVA = "java"
    DOCKER = "docker"
    INSTALLABLE = "installable"
    ANY = "any"


class Language(StrEnum):
    """What a connector is written in, as PyAirbyte sorts them."""

    PYTHON = "python"
    JAVA = "java"
    MANIFEST_ONLY = "manifest-only"


@dataclass(frozen=True)
class ConnectorMetadata:
    """What the index says about a connector.

    Args:
        name: The name.
        latest_available_version: Always None, because the network is not used.
        pypi_package_name: What pip installs, if it is a package.
        language: What it is written in. One that only runs in Docker counts as `java`.
        install_types: The ways to run it.
        suggested_streams: Always None.
    """

    name: str
    latest_available_version: str | None
    pypi_package_name: str | None
    language: Language | None
    install_types: frozenset[InstallType]
    suggested_streams: Sequence[str] | None = None

    @property
    def default_install_type(self) -> InstallType:
        """How `get_source` runs it by default."""
        order = (InstallType.PYTHON, InstallType.YAML, InstallType.DOCKER)
        return next(one for one in order if one in self.install_types)


@dataclass(frozen=True)
class Known:
    """A connector of the index.

    Args:
        name: Such as `source-faker` or `tap-jsonl`.
        protocol: What it speaks.
        install: `python`, `yaml` or `docker`.
        package: What pip installs, for `python`: its package, and others after a space.
        is_low_code: It is a manifest, even if there is a package that runs it.
        use_properties: The tap takes its catalog by `--properties`.
    """

    name: str
    protocol: Protocol
    install: InstallType
    package: str = ""
    is_low_code: bool = False
    use_properties: bool = False

    @property
    def distribution(self) -> str:
        """The name of its package without any version, or "" if it has none."""
        return re.split(r"[\s<>=!~\[]", self.package, maxsplit=1)[0]


@cache
def known_connectors() -> dict[str, Known]:
    """Return every known connector by name; an entry point takes precedence over the index."""
    index: dict[str, Any] = json.loads(Path(__file__).with_name("known.json").read_text("utf-8"))
    found: dict[str, Known] = {
        name: Known(name, "airbyte", InstallType.DOCKER) for name in index["images"]
    }
    low_code = set(index["low_code"])
    found.update(
        {name: Known(name, "airbyte", InstallType.YAML, is_low_code=True) for name in low_code}
    )
    for entry in index["packages"]:
        name, _, package = entry.partition(": ")
        spoken: Protocol = "singer"
        default_package = name
        if name.startswith(("source-", "destination-")):
            spoken, default_package = "airbyte", f"airbyte-{name}"
        found[name] = Known(
            name,
            spoken,
            InstallType.PYTHON,
            package or default_package,
            is_low_code=name in low_code,
            use_properties=name in index["properties"],
        )
    for point in entry_points(group=ENTRY_POINTS):
        # The value (`pip_package:protocol`) is only read, never imported.
        package, _, protocol = point.value.partition(":")
        spoken = "singer" if protocol == "singer" else "airbyte"
        found[point.name] = Known(point.name, spoken, InstallType.PYTHON, package)
    return found


@checked(install_type=TEXT)
def get_available_connectors(install_type: InstallType | str | None = None) -> list[str]:
    """Return the names of known connectors, sorted, without using the network.

    Args:
        install_type: Only connectors of this kind. None means all that can be installed here;
            those that need Docker are included if there is a `docker`.

    Raises:
        InputError: There is no such kind.
    """
    wanted = _kind_of(install_type)
    known = known_connectors().values()
    if wanted is InstallType.INSTALLABLE and shutil.which("docker"):
        wanted = InstallType.ANY
    if wanted is InstallType.ANY:
        return sorted(one.name for one in known)
    if wanted is InstallType.INSTALLABLE:
        return sorted(one.name for one in known if one.install is not InstallType.DOCKER)
    if wanted is InstallType.DOCKER:
        return sorted(one.name for one in known if one.protocol == "airbyte")  # each has an image
    if wanted is InstallType.JAVA:
        wanted = InstallType.DOCKER
    if wanted is InstallType.YAML:
        return sorted(one.name for one in known if one.is_low_code)
    return sorted(one.name for one in known if one.install is wanted and not one.is_low_code)


def _kind_of(install_type: InstallType | str | None) -> InstallType:
    if install_type is None:
        return InstallType.INSTALLABLE
    try:
        return InstallType(install_type)
    except ValueError:
        raise InputError(
            f"get_available_connectors: there is no install_type {shorten(install_type)}.",
            hint=did_you_mean(str(install_type), [str(one.value) for one in InstallType]),
        ) from None


def get_connector_metadata(name: str) -> ConnectorMetadata:
    """Return what the index says about a connector, without using the network.

    Raises:
        ConnectorNotRegisteredError: The index has no such name.
    """
    known = known_connectors().get(name)
    if known is None:
        raise unknown(name)
    install_types = {known.install}
    if known.protocol == "airbyte":
        install_types.add(InstallType.DOCKER)  # each has an image
    language = _LANGUAGES[known.install]
    if known.is_low_code:
        install_types.add(InstallType.YAML)
        language = Language.MANIFEST_ONLY
    return ConnectorMetadata(
        name=name,
        latest_available_version=None,
        pypi_package_name=known.distribution or None,
        language=language,
        install_types=frozenset(install_types),
    )


_LANGUAGES = {
    InstallType.PYTHON: Language.PYTHON,
    InstallType.YAML: Language.MANIFEST_ONLY,
    InstallType.DOCKER: Language.JAVA,
}


def protocol_of(name: str) -> Protocol | None:
    """Return what a connector speaks, by the index or by the prefix of its name, or None."""
    known = known_connectors().get(name)
    if known is not None:
        return known.protocol
    if name.startswith(("tap-", "target-")):
        return "singer"
    return "airbyte" if name.startswith(("source-", "destination-")) else None


def unknown(name: str) -> ConnectorNotRegisteredError:
    """Return the error for a name that is not in the index."""
    return ConnectorNotRegisteredError(
        f"There is no connector {name!r} in the index of names.",
        hint=f"{did_you_mean(name, known_connectors())} Any other is given by pip_url=, "
        "local_executable=, docker_image= or source_manifest=.",
        connector_name=name,
    )
