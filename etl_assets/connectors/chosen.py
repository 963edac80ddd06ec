"""Which executor the arguments of `get_source` and `get_destination` stand for."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etl_assets.connectors.executors import (
    DECLARATIVE,
    DockerExecutor,
    Executor,
    LocalExecutor,
    ManifestExecutor,
    NoExecutor,
    PythonExecutor,
)
from etl_assets.connectors.install import Environment, install_root
from etl_assets.connectors.names import InstallType, Protocol, known_connectors, protocol_of, unknown
from etl_assets.exceptions import ConfigError


def executor_for(  # noqa: PLR0913 - PyAirbyte's arguments, and ours
    name: str,
    *,
    version: str | None = None,
    use_python: bool | Path | str | None = None,
    pip_url: str | None = None,
    local_executable: Path | str | None = None,
    docker_image: str | bool | None = None,
    use_host_network: bool = False,
    source_manifest: bool | Mapping[str, Any] | Path | str | None = None,
    install_if_missing: bool = True,
    install_root: Path | str | None = None,
    no_executor: bool = False,
    protocol: Protocol | None = None,
    allow_custom_code: bool = False,
) -> Executor:
    """Give the executor of a connector. Neither installs nor connects.

    Args:
        name: Such as `source-faker` or `tap-jsonl`.
        version: Of its package, or the tag of its image; None or `latest` for the newest when it is installed.
        use_python: The interpreter of its environment: True for this one, a version or a path; False for Docker.
        pip_url: What pip installs in place of what the index says.
        local_executable: A program that is there: an absolute path, or a name found on PATH.
        docker_image: An image; True for the connector's own.
        use_host_network: Of a container.
        source_manifest: The manifest of a low-code connector: the document, a path or a URL.
        install_if_missing: Install it at its first use, outside of a run.
        install_root: The directory of all environments.
        no_executor: Only describe it.
        protocol: What it speaks, where its name does not tell.
        allow_custom_code: Of a manifest.

    Raises:
        ConfigError: The arguments contradict each other, or nothing says how to run it.
    """
    _check(name, version, use_python, pip_url, local_executable, docker_image, source_manifest)
    spoken = protocol or protocol_of(name)
    if spoken is None:
        raise ConfigError(
            f"The name {name!r} does not tell what the connector speaks.",
            hint='Give protocol="airbyte" or protocol="singer", or a name that begins with source-, destination-, tap- '
            "or target-.",
        )
    if no_executor:
        return NoExecutor(name, spoken)
    if local_executable:
        return LocalExecutor(name, spoken, local_executable)
    version = None if version == "latest" else version
    python = "" if use_python in {None, True, False} else str(use_python)
    where = _root(install_root)
    if source_manifest:
        return _manifest(name, source_manifest, version, python, where, allow_custom_code, install_if_missing)
    if docker_image or use_python is False:
        return _docker(name, docker_image, version, spoken, use_host_network=use_host_network)
    if not (pip_url or version or use_python) and shutil.which(name):
        return LocalExecutor(name, spoken, name)
    known = known_connectors().get(name)
    if pip_url is None and known is None:
        raise unknown(name)
    if pip_url is None and known is not None and known.install is InstallType.DOCKER:
        return _docker(name, None, version, spoken, use_host_network=use_host_network)
    if pip_url is None and known is not None and known.install is InstallType.YAML:
        raise ConfigError(
            f"{name} is a low-code connector: it is a manifest, which is not shipped.",
            hint="Give source_manifest= (the document, a path or a URL), or docker_image=True.",
        )
    package = known.package if known else name
    requirement = pip_url or (f"{package}=={version}" if version else package)
    environment = Environment(name, requirement, python, where)
    return PythonExecutor(environment, spoken, install_if_missing=install_if_missing)


def _root(given: Path | str | None) -> Path:
    return install_root(given)


def _manifest(  # noqa: PLR0917 - the arguments of one call
    name: str,
    given: bool | Mapping[str, Any] | Path | str,  # noqa: FBT001 - PyAirbyte's type
    version: str | None,
    python: str,
    where: Path,
    allow_custom_code: bool,  # noqa: FBT001 - as above
    install_if_missing: bool,  # noqa: FBT001 - as above
) -> Executor:
    if isinstance(given, bool):
        raise ConfigError(
            f"source_manifest=True would look {name} up in a registry, which is not done.",
            hint="Give the manifest itself: the document, a path or a URL.",
        )
    requirement = f"airbyte-cdk=={version}" if version else "airbyte-cdk"
    environment = Environment(DECLARATIVE, requirement, python, where, program=DECLARATIVE)
    return ManifestExecutor(
        name, given, environment, allow_custom_code=allow_custom_code, install_if_missing=install_if_missing
    )


def _docker(
    name: str, image: str | bool | None, version: str | None, protocol: Protocol, *, use_host_network: bool
) -> Executor:
    if isinstance(image, str):
        tagged = ":" in image.rpartition("/")[2]
        full = image if tagged else f"{image}:{version or 'latest'}"
    else:
        full = f"airbyte/{name}:{version or 'latest'}"
    return DockerExecutor(name, full, protocol, use_host_network=use_host_network)


def _check(  # noqa: PLR0917 - the arguments of one call
    name: str,
    version: str | None,
    use_python: bool | Path | str | None,  # noqa: FBT001 - PyAirbyte's type
    pip_url: str | None,
    local_executable: Path | str | None,
    docker_image: str | bool | None,  # noqa: FBT001 - as above
    source_manifest: bool | Mapping[str, Any] | Path | str | None,  # noqa: FBT001 - as above
) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError("A connector's name is a text that is not empty.")
    given = {
        "pip_url": pip_url,
        "local_executable": local_executable,
        "docker_image": docker_image,
        "source_manifest": source_manifest,
    }
    ways = [word for word, value in given.items() if value]
    if len(ways) > 1:
        raise ConfigError(f"{name}: {' and '.join(ways)} are ways to run it, and only one can be.")
    if version and pip_url:
        raise ConfigError(f"{name}: version and pip_url both say which one.", hint="Put the version into the pip_url.")
    if version and local_executable:
        raise ConfigError(f"{name}: a local_executable has the version it has.", hint="Leave version out.")
    if version and isinstance(docker_image, str) and ":" in docker_image.rpartition("/")[2]:
        raise ConfigError(f"{name}: the image {docker_image!r} has a tag, and version says another.")
    if use_python is False and (pip_url or local_executable or source_manifest):
        raise ConfigError(f"{name}: use_python=False means Docker, and {ways[0]} does not.")
    if use_python and (docker_image or local_executable):
        raise ConfigError(f"{name}: use_python is of no use with {ways[0]}.")
