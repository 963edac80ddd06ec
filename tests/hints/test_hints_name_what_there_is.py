"""What a hint names exists: each argument, option, command, flag, variable and method that stands in one."""

import argparse
import ast
import re
from collections.abc import Iterator

import pytest

from etl_assets.cli import _parser
from tests.hints.found import PACKAGE, hints

WORDS = re.compile(
    r"(?<![\w.\"'-])(?P<argument>[a-z_][a-z_0-9]*)=(?![=\"]?\w+://)"  # adopt=True
    r"|`(?P<quoted>[A-Za-z_]\w*)`"  # `bookmark`
    r"|\b(?P<snake>[a-z]+(?:_[a-z0-9]+)+)\b"  # max_row_bytes
)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
COMMAND = re.compile(r"etl-assets ((?:[a-z]+ ?)+)")
VARIABLE = re.compile(r"\bETL_ASSETS_[A-Z_]+\b")
OTHERS = {
    "pip's": {"--ignore-requires-python"},
    "a Singer SDK tap's": {"batch_config"},
    "Singer's": {"tap_stream_id", "json_schema"},
    "an argument's value": {"--log-level", "discard_row", "discard_value", "unix_ms"},
    "drivers'": {"ssl_disabled", "ssl_ca", "statement_timeout"},
    "DuckDB's": {"access_mode", "duckdb_settings"},
    "pandas'": {"drop", "rename_axis", "reset_index"},
    "a column of ours": {"bookmark_after"},
    "Dagster's": {"resources", "partitions_def", "partition_key", "postgres_url", "postgres_db"},
    "this library's": {"etl_assets"},
    "columns and sources of an example": {"updated_at", "tenant_id", "shop_db"},
    "of timedelta": {"hours"},
    "Mage's": {"path_to_credentials_json_file", "credentials_info"},
}


def _names_there_are() -> set[str]:
    """Return all arguments and fields of what is public, and the methods' names."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (
                not node.name.startswith("_") or node.name == "__init__"
            ):
                arguments = node.args
                found.add(node.name)
                found.update(
                    one.arg
                    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
                )
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.update(_fields(node))
    return found


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            yield one.target.id
        elif isinstance(one, ast.Assign):
            yield from (target.id for target in one.targets if isinstance(target, ast.Name))


def _commands(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield each command, as it is written, and its flags."""
    yield before.strip(), set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _commands(below, f"{before} {name}")


@pytest.mark.parametrize("hint", hints())
def test_every_name_in_a_hint_is_one_that_there_is(
    hint: str, names: set[str], commands: dict[str, set[str]]
) -> None:
    others = set().union(*OTHERS.values())
    said = {next(filter(None, one.groups())) for one in WORDS.finditer(hint)}
    assert said - names - others == set()
    flags = set().union(*commands.values())
    assert set(FLAG.findall(hint)) - flags - others == set()
    for command in COMMAND.findall(hint):
        assert any(command.startswith(one) for one in commands if one), (
            f"there is no command {command!r}"
        )
    for variable in VARIABLE.findall(hint):
        assert any(variable in path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))


@pytest.fixture(scope="module")
def names() -> set[str]:
    return _names_there_are()


@pytest.fixture(scope="module")
def commands() -> dict[str, set[str]]:
    return dict(_commands(_parser()))


@pytest.mark.parametrize(
    "hint", ["Set no_such_option.", "Give adopted=True.", "Say `adopted`.", "Use --adopted."]
)
def test_a_name_that_is_not_there_is_found(
    hint: str, names: set[str], commands: dict[str, set[str]]
) -> None:
    with pytest.raises(AssertionError):
        test_every_name_in_a_hint_is_one_that_there_is(hint, names, commands)
