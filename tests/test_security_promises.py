"""What must never happen (docs/security.md), promise by promise, and the tests that fail where it does."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

PROMISES: dict[str, list[str]] = {
    "S1 secrets are references, and stand nowhere that a run leaves behind": [
        "secrets/test_canary.py::test_a_secret_of_a_failed_run_is_found_nowhere",
        "connectors/test_canary.py::test_a_run_leaves_no_trace_of_a_secret",
        "secrets/test_url.py::test_a_secret_that_definitions_hold_themselves_is_told",
    ],
    "S2 one redactor for everything that leaves the process": [
        "redaction/test_forms.py::test_no_form_of_a_secret_is_shown",
        "redaction/test_errors.py::test_what_an_error_is_raised_from_is_masked_too",
        "connectors/test_log_drain.py::test_of_a_key_of_many_lines_no_line_is_shown",
        "assets/test_sync.py::TestFailures::test_no_secret_leaves_with_an_error_or_its_causes",
    ],
    "S3 a connector's config is a private file, gone with it": [
        "connectors/test_process.py::test_its_config_is_private_and_gone_at_the_end",
        "connectors/test_process.py::test_a_killed_parent_takes_all_of_it_along_its_config_too",
    ],
    "S4 a connector's environment is an allow-list": [
        "connectors/test_process.py::test_it_gets_an_allow_list_and_nothing_else",
    ],
    "S5 a connector ends with all that it started, within its time": [
        "connectors/test_process.py::test_silence_ends_it_and_all_it_has_started",
        "connectors/test_process.py::test_the_whole_time_is_limited_too",
        "connectors/test_install.py::test_in_a_run_a_missing_connector_fails_at_once",
    ],
    "S6 names are quoted, values are bound, and no name passes through a template": [
        "pairs/test_nasty_names.py::test_no_name_of_a_stream_or_column_passes_through_a_template",
        "pairs/test_nasty_names.py::test_tables_columns_and_queries_of_a_source",
    ],
    "S7 no name becomes a path, and no path leads out of its folder": [
        "destinations/test_names_and_paths.py::test_of_a_stream",
        "test_confined.py::test_nothing_else_is",
        "connectors/test_batches.py::test_what_is_elsewhere_is_neither_read_nor_removed",
    ],
    "S9 nothing is unpickled, and no data is run": [
        "test_house.py::code_from_data",
    ],
    "S10 a small message is a small cost": [
        "protocol/test_bounds.py::test_columns_streams_and_revisions",
        "protocol/test_bounds.py::test_length_and_depth_of_a_line",
        "protocol/test_bounds.py::test_an_exponent_is_not_written_out",
        "protocol/test_bounds.py::test_references_that_fan_out_are_looked_at_once",
        "protocol/test_bounds.py::test_what_nobody_thought_of_is_one_too",
        "sources/test_files_values.py::test_a_bomb_is_an_error_before_it_goes_off",
        "connectors/test_batches.py::test_a_file_that_unpacks_to_too_much_is_refused",
    ],
    "S11 code in a manifest is refused unless allowed": [
        "connectors/test_install.py::test_a_manifest_with_code_is_refused_unless_allowed",
    ],
    "S12 what a source says is shown as text": [
        "assets/test_markdown.py::test_descriptions_of_a_source_are_text",
    ],
    "S13 an event without a run moves no bookmark": [
        "assets/test_sync.py::TestWithoutState::test_the_newest_event_of_a_run_is_where_it_goes_on",
    ],
    "S14 few rights are enough, and nobody else's table is touched": [
        "pairs/test_exact.py::test_the_documented_rights_are_enough",
        "destinations/test_postgres.py::test_a_role_without_rights_to_make_schemas_loads_into_those_it_has",
        "destinations/test_mysql.py::test_a_user_with_the_documented_grants_can_do_all",
    ],
    "S15 what is installed is pinned, what is started nobody else could change": [
        "connectors/test_install.py::test_a_lock_installs_what_it_pins_and_a_file_from_where_it_was",
        "connectors/test_install.py::test_an_executable_that_anybody_could_change_is_refused",
    ],
    "S16 servers are verified, and no URL shows its password": [
        "destinations/test_tls.py::test_a_server_is_trusted_by_its_authority_and_name_alone",
        "secrets/test_url.py::test_an_error_about_a_url_shows_no_secret_of_it",
    ],
}
"""S8, what an HTTP source may reach, waits for the first source of ours that speaks HTTP."""


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_has_its_tests(promise: str) -> None:
    for node in PROMISES[promise]:
        file, *names = node.split("::")
        scope: list[ast.stmt] = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
        for name in names:
            found = [
                one
                for one in scope
                if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name == name
            ]
            assert found, f"{promise}: there is no {node}"
            scope = found[0].body


def test_no_statement_drops_what_others_depend_on() -> None:
    """S14: `DROP ... CASCADE` would take views and tables along that are not ours."""
    package = TESTS.parent / "etl_assets"
    for path in (
        *package.glob("destinations/**/*.py"),
        *package.glob("sources/**/*.py"),
        *package.glob("caches/*.py"),
    ):
        assert " CASCADE" not in path.read_text(encoding="utf-8"), path
