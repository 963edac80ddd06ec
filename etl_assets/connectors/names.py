"""The names connectors are known by: entry points of installed packages, and the shipped index `known.json`.

The index is made by `connector_index/make.py` of the project from a list of package names, and is
not complete: a connector that is not in it is given by `pip_url`, `local_executable`,
`docker_image` or `source_manifest`. Nothing is
asked over a network.
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
"""A package declares connectors under this group, each as `name = "package:protocol"`.

See `docs/connectors.md`.
"""


class InstallType(StrEnum):
    """How a connector comes to run."""

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
    """What is known of a connector by its name.

    Args:
        name: The name.
        latest_available_version: Always None: nothing is asked over a network.
        pypi_package_name: What pip installs, where it is a package.
        language: What it is written in; one that runs in Docker only counts as `java`.
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
        """How `get_source` runs it where nothing else is said."""
        order = (InstallType.PYTHON, InstallType.YAML, InstallType.DOCKER)
        return next(one for one in order if one in self.install_types)


@dataclass(frozen=True)
class Known:
    """A connector of the index.

    Args:
        name: Such as `source-faker` or `tap-jsonl`.
        protocol: What it speaks.
        install: `python`, `yaml` or `docker`.
        package: What pip installs, for `python`; more words are installed beside it.
        is_low_code: It is a manifest, also where there is a package that runs it.
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
        """The name of its package, without the versions that are left out; "" where it is none."""
        return re.split(r"[\s<>=!~\[]", self.package, maxsplit=1)[0]


@cache
def known_connectors() -> dict[str, Known]:
    """Return every connector that is known by name; an entry point goes before the index."""
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
        is_airbyte = name.startswith(("source-", "destination-"))
        found[name] = Known(
            name,
            "airbyte" if is_airbyte else "singer",
            InstallType.PYTHON,
            package or (f"airbyte-{name}" if is_airbyte else name),
            is_low_code=name in low_code,
            use_properties=name in index["properties"],
        )
    for point in entry_points(group=ENTRY_POINTS):
        # The value is read, never imported: `pip_package:protocol` is all an index needs.
        package, _, protocol = point.value.partition(":")
        found[point.name] = Known(
            point.name, "singer" if protocol == "singer" else "airbyte", InstallType.PYTHON, package
        )
    return found


@checked(install_type=TEXT)
def get_available_connectors(install_type: InstallType | str | None = None) -> list[str]:
    """Return the names of known connectors, sorted. Asks no network.

    Args:
        install_type: Only those of this kind; None for all that can be installed here: those that
            need Docker only where there is a `docker`.

    Raises:
        InputError: There is no such kind.
    """
    wanted = _kind_of(install_type)
    known = known_connectors().values()
    if wanted is InstallType.ANY or (wanted is InstallType.INSTALLABLE and shutil.which("docker")):
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
    """Return what is known of a connector. Asks no network.

    Raises:
        ConnectorNotRegisteredError: The index has no such name.
    """
    known = known_connectors().get(name)
    if known is None:
        raise unknown(name)
    image = {InstallType.DOCKER} if known.protocol == "airbyte" else set()
    return ConnectorMetadata(
        name=name,
        latest_available_version=None,
        pypi_package_name=known.distribution or None,
        language=Language.MANIFEST_ONLY if known.is_low_code else _LANGUAGES[known.install],
        install_types=frozenset(
            {known.install, *image, *({InstallType.YAML} if known.is_low_code else ())}
        ),
    )


_LANGUAGES = {
    InstallType.PYTHON: Language.PYTHON,
    InstallType.YAML: Language.MANIFEST_ONLY,
    InstallType.DOCKER: Language.JAVA,
}


def protocol_of(name: str) -> Protocol | None:
    """Return what a connector of this name speaks, by the index or by its prefix.

    None if neither tells.
    """
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
        hint=f"{did_you_mean(name, known_connectors())} Any other is given by pip_url=, local_executable=, "
        "docker_image= or source_manifest=.",
        connector_name=name,
    )
