"""A quick look whether a connector works, where scripts written for PyAirbyte look for it.

```
python -m etl_assets.validate --connector-dir ./source-mine --sample-config ./config.json
```
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etl_assets.exceptions import ConfigError
from etl_assets.sources.connectors import get_source


def validate(connector_dir: str, sample_config: str, *, validate_install_only: bool) -> None:
    """Install a connector from its folder, check a config, list its streams and read each.

    Args:
        connector_dir: The folder with its package and its `metadata.yaml`.
        sample_config: The file of a config that works.
        validate_install_only: Only install it, and ask for its specification.

    Raises:
        EtlAssetsError: Something does not work.
    """
    source = get_source(
        _name_of(Path(connector_dir)),
        json.loads(Path(sample_config).read_text(encoding="utf-8")),
        pip_url=str(Path(connector_dir).absolute()),
    )
    source.install()
    if not source.config_spec:
        raise ConfigError(f"{source.name} gives no specification of its config.")
    if not validate_install_only:
        full_tests(source)


def full_tests(source: Any) -> None:
    """Have a source check its config, list its streams and read a record of each."""
    source.check()
    names = source.get_available_streams()
    samples = source.get_samples(names, limit=1, on_error="log")
    if names and not any(samples[name] is not None for name in names):
        raise ConfigError(f"{source.name}: no stream could be read.", hint="The log says why.")
    print(  # noqa: T201 - said to the person at the terminal
        f"{source.name} works: {len(names)} streams."
    )


def _name_of(folder: Path) -> str:
    import yaml

    path = folder / "metadata.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]
        return str(data["dockerRepository"]).rpartition("/")[2]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(f"{str(path)!r} does not say the name of the connector.") from error


def run(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Install a connector and see whether it works.")
    parser.add_argument("--connector-dir", required=True)
    parser.add_argument("--sample-config", required=True)
    parser.add_argument("--validate-install-only", action="store_true")
    given = parser.parse_args(arguments)
    validate(
        given.connector_dir, given.sample_config, validate_install_only=given.validate_install_only
    )


if __name__ == "__main__":
    run()
