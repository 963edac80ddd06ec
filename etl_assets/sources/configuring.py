"""What the verbs about a source's config do."""

import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from etl_assets.exceptions import (
    ConnectorCheckFailedError,
    ConnectorConfigInvalidError,
    ConnectorConfigMissingError,
    EtlAssetsError,
    InputError,
)
from etl_assets.secrets.references import resolve
from etl_assets.sources import selecting


def name_of(source: Any) -> str:
    """Give the name a source has for people."""
    return str(getattr(source, "connector_name", None) or source.name or type(source).__name__)


def is_configured(source: Any) -> bool:
    """Tell whether a source has the config it cannot do without."""
    return not (source.needs_config and source.config_is_missing)


def spec_of(source: Any) -> dict[str, Any]:
    """Give the JSON Schema of what a source is configured with: of its class's `Options`, where it has such a model."""
    model = getattr(type(source), "Options", None)
    found: dict[str, Any] = model.model_json_schema() if model is not None else {}
    return found


def hash_of(source: Any) -> str | None:
    """Give a one-way hash of the resolved config."""
    if not is_configured(source):
        return None
    try:
        text = json.dumps(source.config, sort_keys=True)
    except (TypeError, ValueError):
        return None
    return sha256(text.encode()).hexdigest()[:32]


def set_config(source: Any, config: Mapping[str, Any], *, validate: bool) -> None:
    """Give a source a config, and the streams that were to be selected then."""
    if validate:
        _validate(source, config)
    source.config = config
    source.config_is_missing = False
    selecting.forget(source)


def get_config(source: Any) -> dict[str, Any]:
    """Give a source's config as it was given."""
    if not is_configured(source):
        raise ConnectorConfigMissingError(
            f"{name_of(source)} has no config yet.",
            connector_name=name_of(source),
            hint="Give it to get_source(), or to set_config().",
        )
    return dict(source._config)  # noqa: SLF001 - its references stay unresolved


def validate(source: Any, config: Mapping[str, Any] | None) -> None:
    """Check a config, or the source's own."""
    _validate(source, get_config(source) if config is None else config)


def _validate(source: Any, config: Mapping[str, Any]) -> None:
    spec = source.config_spec
    if not spec:
        return
    import jsonschema

    try:
        jsonschema.validate(resolve(config), spec)
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.absolute_path)) or "the config"
        # Neither the message nor the instance: both can hold the secret.
        raise ConnectorConfigInvalidError(
            f"{name_of(source)}: {place} does not meet {_rule(error)}.",
            connector_name=name_of(source),
            hint="print_config_spec() shows what it takes.",
        ) from None
    except jsonschema.SchemaError:
        return  # a connector's own mistake; it says itself what it cannot take


def _rule(error: Any) -> str:
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"the rule that {', '.join(map(repr, missing))} must be there"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties") or {}
        others = [name for name in error.instance if name not in known]
        return f"the rule that there is no {', '.join(map(repr, others))}"
    return f"the rule {error.validator}: {json.dumps(error.validator_value, default=str)[:200]}"


def print_spec(source: Any, format_: str, *, output_file: Path | str | None, stderr: bool) -> None:
    """Print what a source is configured with, as YAML or JSON."""
    if format_ == "yaml":
        import yaml

        text = yaml.safe_dump(source.config_spec, sort_keys=False, allow_unicode=True)
    elif format_ == "json":
        text = json.dumps(source.config_spec, indent=2) + "\n"
    else:
        raise InputError(f"The format {format_!r} is neither 'yaml' nor 'json'.", input_value=format_)
    if output_file is not None:
        Path(output_file).write_text(text, encoding="utf-8")
    else:
        (sys.stderr if stderr else sys.stdout).write(text)


def check(source: Any) -> None:
    """Connect to a source."""
    get_config(source)
    try:
        source.test_connection()
    except EtlAssetsError as error:
        raise ConnectorCheckFailedError(
            f"{name_of(source)} cannot connect: {error.message}", connector_name=name_of(source), hint=error.hint
        ) from error
    print(f"Connection check succeeded for {name_of(source)}.")  # noqa: T201 - said to the person at the script
