"""Checks as they are written: in Python, in dicts and in YAML; and what is refused of them."""

import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from etl_assets import StreamOptions, checks
from etl_assets.assets.component.component import StreamsComponent
from etl_assets.exceptions import ConfigError
from tests.assets.test_component import Context

ALL = [
    checks.unique_key(),
    checks.unique_key("a", "b", name="pair"),
    checks.not_null("email"),
    checks.matches_source(0.01),
    checks.row_count(min=1, max=2, anomaly=3),
    checks.max_lag("updated_at", timedelta(hours=2), severity="warn"),
    checks.schema_unchanged(blocking=True),
    checks.no_rejected(gate=True),
    checks.sql("SELECT id FROM {table} WHERE total < 0", name="positive"),
]
AS_DICTS: list[Any] = [
    "unique_key",
    {"unique_key": {"columns": ["a", "b"], "name": "pair"}},
    {"not_null": "email"},
    {"matches_source": 0.01},
    {"row_count": {"min": 1, "max": 2, "anomaly": 3}},
    {"max_lag": {"column": "updated_at", "lag": {"hours": 2}, "severity": "warn"}},
    {"schema_unchanged": {"blocking": True}},
    {"no_rejected": {"gate": True}},
    {"sql": {"query": "SELECT id FROM {table} WHERE total < 0", "name": "positive"}},
]


def test_a_dict_says_the_same_as_python() -> None:
    assert checks.of(AS_DICTS) == tuple(ALL)
    assert StreamOptions(checks=AS_DICTS) == StreamOptions(checks=ALL)
    one = checks.of({"unique_key": {}, "not_null": ["a", "b"], "schema_unchanged": None})
    assert one == (checks.unique_key(), checks.not_null("a", "b"), checks.schema_unchanged())


@pytest.mark.parametrize("kind", sorted(checks.KINDS))
@pytest.mark.parametrize(
    "wrong", [5, None, True, [None], {5: 1}, {"columns": 5}, {"columns": None}, {"min": "a"}, b"x"]
)
def test_whatever_yaml_holds_is_a_check_or_an_error_of_ours(kind: str, wrong: Any) -> None:
    with suppress(ConfigError):
        assert all(isinstance(one, checks.Check) for one in checks.of({kind: wrong}))


def test_yaml_says_the_same_as_python() -> None:
    component = StreamsComponent.resolve_from_yaml(
        """
source: {name: sqlite, source_name: shop, path: shop.db}
destination: {name: duckdb, path: warehouse.duckdb}
defaults:
  checks: {unique_key: {}}
streams:
  customers: {primary_key: id, replication_key: updated_at}
  orders:
    primary_key: id
    checks:
      - not_null: {columns: email, gate: true}
      - sql: {query: "SELECT id FROM {table} WHERE id < 0", name: positive}
"""
    )
    defs = component.build_defs_from_state(Context(), None)
    specs = {
        f"{spec.asset_key.path[-1]}:{spec.name}": spec.blocking
        for asset in defs.assets or ()
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    assert specs == {
        "customers:unique_key": False,
        "orders:unique_key": False,
        "orders:not_null_email": True,
        "orders:positive": False,
    }


def test_those_of_a_stream_join_the_defaults() -> None:
    defaults = StreamOptions(checks=[checks.unique_key(), checks.row_count(min=1)])
    own = StreamOptions(checks=[checks.row_count(min=5), checks.not_null("email")])
    joined = own.over(defaults).checked or ()
    assert [one.name for one in joined] == ["unique_key", "row_count", "not_null_email"]
    assert joined[1] == checks.row_count(min=5)
    assert StreamOptions(checks=[]).over(defaults).checked == ()
    assert StreamOptions().over(defaults).checked == defaults.checked
    assert own.over(StreamOptions()).checked == own.checked


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"uniqe_key": {}}, "There is no check 'uniqe_key'. Did you mean 'unique_key'?"),
        ({"row_count": {"mim": 1}}, "row_count: got an unexpected keyword argument 'mim'."),
        ({"row_count": {}}, "row_count checks nothing."),
        ({"row_count": {"min": 3, "max": 1}}, "no table could pass"),
        ({"row_count": {"anomaly": 0}}, "row_count: anomaly is 0."),
        ({"row_count": {"min": "1"}}, "min must be a number"),
        ({"not_null": []}, "not_null names no column."),
        ({"not_null": [3]}, "3 is not the name of a column."),
        ({"not_null": {"columns": "a", "severity": "fatal"}}, "severity cannot be 'fatal'."),
        ({"not_null": {"columns": "a", "gate": "yes"}}, "gate must be True or False"),
        ({"not_null": {"columns": "a", "name": "a b"}}, "A check cannot be called 'a b'."),
        ({"not_null": {"columns": "a", "gate": True, "severity": "warn"}}, "cannot be gate"),
        ({"matches_source": {"gate": True}}, "matches_source cannot be a gate"),
        ({"matches_source": 2}, "matches_source: tolerance is 2."),
        ({"max_lag": {"column": "at", "lag": "2h"}}, "max_lag: lag is '2h'."),
        ({"max_lag": {"column": "at", "lag": {"ours": 2}}}, "max_lag: lag is {'ours': 2}."),
        ({"sql": {"query": "SELECT 1", "name": "one"}}, "does not read the table"),
        ({"sql": {"query": "SELECT 1 FROM {table}"}}, "missing a required argument: 'name'"),
        ({"sql": {"query": "SELECT 1 FROM {table}; DROP TABLE x", "name": "a"}}, "more than one"),
        (["unique_key", "unique_key"], "Two checks are called 'unique_key'."),
        (3, "3 is no check."),
    ],
)
def test_what_is_wrong_is_told_when_the_project_is_loaded(given: Any, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        StreamOptions.of({"checks": given}, "orders")
    assert told in str(error.value)
    assert "stream 'orders': " in str(error.value)


def test_names_are_those_that_dagster_allows() -> None:
    assert checks.not_null("e-mail", "Größe").name == "not_null_e_mail_Gr_e"
    for check in ALL:
        dg.AssetCheckSpec(check.name, asset="orders")


def test_dagsters_own_severity_is_taken() -> None:
    severity: Any = dg.AssetCheckSeverity.WARN
    assert checks.unique_key(severity=severity) == checks.unique_key(severity="warn")


def test_a_script_that_names_checks_imports_neither_dagster_nor_arrow() -> None:
    script = (
        "import sys; from etl_assets import checks; checks.unique_key();"
        "print({'dagster', 'pyarrow', 'duckdb', 'pandas', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
