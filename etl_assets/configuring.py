"""What the verbs about the config of a source or destination do."""

import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from etl_assets import arguments
from etl_assets.exceptions import (
    ConnectorCheckFailedError,
    ConnectorConfigInvalidError,
    ConnectorConfigMissingError,
    EtlAssetsError,
    InputError,
)
from etl_assets.secrets.references import resolve


def name_of(owner: Any) -> str:
    """Return the name an owner has for people."""
    return str(
        getattr(owner, "connector_name", None)
        or getattr(owner, "name", None)
        or type(owner).__name__
    )


def is_configured(owner: Any) -> bool:
    """Return whether an owner has the config it cannot do without."""
    return not (owner.needs_config and owner.config_is_missing)


def spec_of(owner: Any) -> dict[str, Any]:
    """Return the JSON Schema of an owner's config, which is that of `Options` if it has that."""
    model = getattr(type(owner), "Options", None)
    found: dict[str, Any] = model.model_json_schema() if model is not None else {}
    return found


def hash_of(owner: Any) -> str | None:
    """Return a one-way hash of the resolved config."""
    if not is_configured(owner):
        return None
    try:
        text = json.dumps(resolve(owner.get_config()), sort_keys=True)
    except (TypeError, ValueError):
        return None
    return sha256(text.encode()).hexdigest()[:32]


def set_config(owner: Any, config: Mapping[str, Any], *, validate: bool) -> None:
    """Give an owner a config, and the streams that were to be selected then."""
    arguments.check(
        "set_config", "config", config, (Mapping, "an object (a dict), such as json.load() gives")
    )
    if validate:
        owner.validate_config(config)
    owner.config = config
    owner.config_is_missing = False
    owner.config_has_changed()


def get_config(owner: Any) -> dict[str, Any]:
    """Return an owner's config as it was given."""
    if not is_configured(owner):
        raise ConnectorConfigMissingError(
            f"{name_of(owner)} has no config yet.",
            connector_name=name_of(owner),
            hint="Give it to get_source(), or to set_config().",
        )
    return dict(owner._config)  # noqa: SLF001 - its references stay unresolved


def validate(owner: Any, config: Mapping[str, Any]) -> None:
    """Check a config against the specification."""
    spec = owner.config_spec
    if not spec:
        return
    import jsonschema

    if not hasattr(jsonschema, "Draft7Validator"):
        spec = _with_enums(spec)
    given = resolve(config)
    try:
        try:
            jsonschema.validate(given, spec)
        except jsonschema.SchemaError:
            jsonschema.validate(given, _readable(spec))
    except jsonschema.ValidationError as error:
        place = ".".join(map(str, error.absolute_path)) or "the config"
        # Neither the message nor the instance: both can hold the secret.
        raise ConnectorConfigInvalidError(
            f"{name_of(owner)}: {place} does not meet {_rule(error)}.",
            connector_name=name_of(owner),
            hint="print_config_spec() shows what it takes.",
        ) from None
    except jsonschema.SchemaError:
        return  # a connector's own mistake; it says itself what it cannot take


def _readable(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a specification in which a property without a valid schema has an empty one.

    The other properties are still checked. Taps that use some versions of the Singer SDK have an
    invalid schema for `stream_maps`.
    """
    import jsonschema

    def is_schema(prop: Any) -> bool:
        try:
            jsonschema.validators.validator_for(
                spec, jsonschema.validators.Draft4Validator
            ).check_schema(prop)
        except (jsonschema.SchemaError, TypeError, AttributeError):
            return False
        return True

    properties = spec.get("properties")
    if not isinstance(properties, Mapping):
        return spec
    checked = {name: prop if is_schema(prop) else {} for name, prop in properties.items()}
    return {**spec, "properties": checked}


def _with_enums(schema: Any) -> Any:
    """Return a JSON Schema with `enum` in place of `const`, which jsonschema 2 does not know.

    singer-python requires that version. If `const` were ignored, every choice of a `oneOf` would
    match.
    """
    if isinstance(schema, list):
        return [_with_enums(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    words = {name: _with_enums(value) for name, value in schema.items() if name != "properties"}
    if isinstance(schema.get("properties"), Mapping):  # whose names are no words
        words["properties"] = {
            name: _with_enums(value) for name, value in schema["properties"].items()
        }
    return {**words, "enum": [schema["const"]]} if "const" in schema else words


def _rule(error: Any) -> str:
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"the rule that {', '.join(map(repr, missing))} must be there"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties") or {}
        others = [name for name in error.instance if name not in known]
        return f"the rule that there is no {', '.join(map(repr, others))}"
    return f"the rule {error.validator}: {json.dumps(error.validator_value, default=str)[:200]}"


def print_spec(owner: Any, format_: str, *, output_file: Path | str | None, stderr: bool) -> None:
    """Print what an owner is configured with, as YAML or JSON."""
    if format_ == "yaml":
        import yaml

        text = yaml.safe_dump(owner.config_spec, sort_keys=False, allow_unicode=True)
    elif format_ == "json":
        text = json.dumps(owner.config_spec, indent=2) + "\n"
    else:
        raise InputError(
            f"The format {format_!r} is neither 'yaml' nor 'json'.", input_value=format_
        )
    if output_file is not None:
        Path(output_file).write_text(text, encoding="utf-8")
    else:
        stream = sys.stderr if stderr else sys.stdout
        stream.write(text)


def check(owner: Any) -> None:
    """Connect to an owner."""
    get_config(owner)
    try:
        owner.test_connection()
    except EtlAssetsError as error:
        raise ConnectorCheckFailedError(
            f"{name_of(owner)} cannot connect: {error.message}",
            connector_name=name_of(owner),
            hint=error.hint,
        ) from error
    shown = getattr(owner, "shown_by_check", None)  # of one that has no check
    said = f"Connection check succeeded for {name_of(owner)}."
    if shown:
        said = f"{name_of(owner)}: {shown}."
    print(said)  # noqa: T201 - to the person at the script
