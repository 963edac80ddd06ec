"""What a destination is told as a program: Mage's constructor arguments and flags."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError
from etl_assets.protocol.singer.documents import (
    as_object,
    catalog_of_settings,
    merged_config,
    parse_document,
    read_document,
    warn_of_unknown,
)

if TYPE_CHECKING:
    import argparse

MEGABYTE = 1024 * 1024


_NUMBERS = ("maximum_batch_size_mb", "maximum_batch_rows", "state_seconds", "maximum_line_mb")
"""The options that must be numbers, and not negative."""

_SHORT = {"--config": ("-c",)}


@dataclass
class TargetArguments:
    """Mage's arguments of a destination, beside its config.

    Args:
        batch_processing: Export many records at once; else one by one, as Mage does without it.
        catalog: A Singer catalog whose schemas win over those of SCHEMA messages.
        debug: Log more.
        config_file_path: Where the config was read from.
        input_file_path: Read messages from this file instead of the buffer.
        log_to_stdout: Kept for Mage's sake: standard output holds states alone.
        settings: `config` and `catalog` in one document.
        settings_file_path: Where they were read from.
        show_templates: Print the templates and do nothing else.
        state_file_path: Write each state to this file instead of standard output.
        test_connection: Test the connection and do nothing else.
    """

    batch_processing: bool = False
    catalog: Mapping[str, Any] | None = None
    debug: bool = False
    config_file_path: str | None = None
    input_file_path: str | None = None
    log_to_stdout: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    settings_file_path: str | None = None
    show_templates: bool = False
    state_file_path: str | None = None
    test_connection: bool = False


@dataclass(frozen=True)
class TargetOptions:
    """What the config says about loading; its own keys stand beside the destination's.

    Args:
        source: The source's name: the default schema of the tables, and part of the key of what is
            remembered.
        write_strategy: `auto` (merge by the key, append without one), `append` or `merge`.
        schema_contract: What may change about the tables, as in `sync`; by default what the streams
            say by `disable_column_type_check`.
        maximum_batch_size_mb: Export when so many megabytes of messages wait.
        maximum_batch_rows: Or so many records.
        state_seconds: At a state, export and pass it on if the last one is so many seconds ago.
        maximum_line_mb: A longer message is an error.
        ignore_activate_version: Let a destination that cannot remove rows keep those of older
            versions.
        independent_streams: No stream of the tap depends on another (a child on its parent), so
            that the bookmarks of the others may be passed on when one fails, also where they are
            the Singer SDK's.
        batch_folder: Where the files of BATCH messages are; none is read from elsewhere, and none
            at all without it.
        created_at_column: Add a column of this name with the time of the export (Mage's
            `_mage_created_at`); for destinations without columns of their own.
        updated_at_column: The same, for Mage's `_mage_updated_at`.
    """

    source: str = "tap"
    write_strategy: str = "auto"
    schema_contract: str | Mapping[str, Any] | None = None
    maximum_batch_size_mb: float = 64
    maximum_batch_rows: int = 50_000
    state_seconds: float = 30.0
    maximum_line_mb: float = 64
    ignore_activate_version: bool = False
    independent_streams: bool = False
    batch_folder: str | None = None
    created_at_column: str | None = None
    updated_at_column: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "TargetOptions":
        """Read them from a config.

        Raises:
            ConfigError: One is not of its kind.
        """
        given = {
            each.name: config[each.name]
            for each in fields(cls)
            if config.get(each.name) is not None
        }
        options = cls(**given)
        if options.write_strategy not in {"auto", "append", "merge"}:
            raise ConfigError(
                f"write_strategy {options.write_strategy!r} is none of auto, append, merge.",
                hint="A pipe cannot tell a whole stream from one that broke off; a tap says so by "
                "ACTIVATE_VERSION.",
            )
        for name in _NUMBERS:
            value = getattr(options, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or value < 0:
                raise ConfigError(f"{name} is a number that is not negative, not {value!r}.")
        return options


OPTION_NAMES = frozenset({*(each.name for each in fields(TargetOptions)), "_streams"})


def arguments_of(
    parser: "argparse.ArgumentParser | None",
    given: Mapping[str, Any],
    config: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], TargetArguments]:
    """Return the config and the other arguments, from the constructor's and the command line's.

    Those of the command line win.

    Args:
        parser: Mage's `argument_parser`; None reads no command line.
        given: The constructor's arguments, by Mage's names.
        config: The constructor's config.
    """
    said: dict[str, Any] = dict(given)
    if parser is not None:
        said.update(parsed(parser, sys.argv[1:]))
    settings = said.get("settings") or read_document(said.get("settings_file_path"))
    settings = as_object(settings, "The settings")
    from_file = read_document(said.get("config_file_path"))
    merged = merged_config(settings, from_file, dict(config or {}), said.pop("config_json", None))
    said["settings"] = settings
    said["catalog"] = said.get("catalog") or catalog_of_settings(settings)
    known = {each.name for each in fields(TargetArguments)}
    return merged, TargetArguments(**{name: value for name, value in said.items() if name in known})


def parsed(parser: "argparse.ArgumentParser", argv: Sequence[str]) -> dict[str, Any]:
    """Add Mage's flags to a parser; return the constructor's arguments that were given by them."""
    for flag in ("--debug", "--show_templates", "--test_connection"):
        parser.add_argument(flag, action="store_true")
    texts = {
        "--config": "config_file_path",
        "--config_json": "config_json",
        "--catalog_json": "catalog",
        "--input_file_path": "input_file_path",
        "--log_to_stdout": "log_to_stdout",
        "--settings": "settings_file_path",
        "--state": "state_file_path",
    }
    for flag, name in texts.items():
        parser.add_argument(*_SHORT.get(flag, ()), flag, dest=name)
    known, unknown = parser.parse_known_args(argv)
    warn_of_unknown(unknown)
    given = {name: value for name, value in vars(known).items() if value not in (None, False)}
    for name in ("config_json", "catalog"):
        if name in given:
            flag = f"--{name.removesuffix('_json')}_json"
            given[name] = as_object(parse_document(given[name], flag), flag)
    if "log_to_stdout" in given:
        given["log_to_stdout"] = str(given["log_to_stdout"]).lower() in {"1", "true", "yes"}
    return given
