"""The documents that a Singer tap or target is given: config, catalog, state, Mage's settings."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etl_assets.exceptions import ConfigError


def read_document(path: str | None) -> Any:
    """Read a JSON file, or a YAML file by its suffix; return None for no path.

    Raises:
        ConfigError: It cannot be read, or is neither.
    """
    if not path:
        return None
    what = f"The file {path!r}"
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{what} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{what} is not UTF-8.") from None
    if not path.endswith((".yaml", ".yml")):
        return parse_document(text, what)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Never the error's own text: it shows the line, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f" (line {mark.line + 1})"
        raise ConfigError(f"{what} is no YAML{line}.") from None


def parse_document(text: str | None, what: str) -> Any:
    """Read JSON; return None for an empty text.

    Args:
        text: The JSON.
        what: What an error calls it, such as `--config_json`.

    Raises:
        ConfigError: It is no JSON.
    """
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        said = getattr(error, "msg", "nested too deep")
        raise ConfigError(f"{what} is no JSON ({said}).") from None


def as_object(found: Any, what: str) -> dict[str, Any]:
    """Return a document that must be an object, or {} for None.

    Raises:
        ConfigError: It is something else.
    """
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{what} is no object.")
    return found


def merged_config(settings: Mapping[str, Any], *documents: Any) -> dict[str, Any]:
    """Return the config of Mage's settings, written over by each document in turn.

    Raises:
        ConfigError: One is no object.
    """
    config: dict[str, Any] = {}
    for document in (settings.get("config"), *documents):
        config.update(as_object(document, "The config"))
    return config


def catalog_of_settings(settings: Mapping[str, Any]) -> Any:
    """Return the catalog that stands in Mage's settings, or None."""
    integration = as_object(settings.get("data_integration"), "`data_integration` of the settings")
    return settings.get("catalog") or integration.get("catalog")


def warn_of_unknown(words: Sequence[str]) -> None:
    """Log a warning that names the unknown flags of a command line, without what follows them."""
    if words:
        flags = ", ".join(word.partition("=")[0] for word in words if word.startswith("-"))
        logging.getLogger("etl_assets").warning(
            "ignored, because they are not known: %s", flags or "words without a flag"
        )
