"""Scripts that call `process()` themselves: what nobody catches shows no secret, wherever it was raised."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-token-of-a-shop"  # noqa: S105 - no one's

HEAD = """
import sys
from etl_assets import Destination, Source, Stream

class Stubborn(Exception):
    def __init__(self, token):
        super().__init__()
        self.token_of = lambda: token
    def __str__(self):
        return "401 for " + self.token_of()

def of_a_driver(token):
    try:
        raise ConnectionError(f"401 for {token}")
    except ConnectionError as error:
        raise RuntimeError("no connection", {"token": token}) from error

def by_exit(token):
    sys.exit(f"401 for {token}")

def by_refusing(token):
    raise Stubborn(token)

def fail(token):
    {failing}(token)
"""
SOURCE = """
class Shop(Source):
    streams = [Stream("orders", replication_key="id")]
    def {hook}(self, *args, **kwargs):
        fail(self.config["token"])
    def load_data(self, stream, **kwargs):
        fail(self.config["token"])

Shop({arguments}).process()
"""
DESTINATION = """
class Place(Destination):
    def {hook}(self, *args, **kwargs):
        fail(self.config["token"])
    def export_batch_data(self, record_data, stream, tags=None):
        fail(self.config["token"])

Place({arguments}).process(sys.stdin.buffer)
"""
GIVEN = f'config={{"token": "{SECRET}"}}'
MESSAGES = """
{"type": "SCHEMA", "stream": "a", "key_properties": [], "schema": {"properties": {"id": {"type": "integer"}}}}
{"type": "RECORD", "stream": "a", "record": {"id": 1}}
""".lstrip()
CASES = {
    "test": (SOURCE, "test_connection", "test_connection=True"),
    "discover": (SOURCE, "discover", "discover_mode=True"),
    "count": (SOURCE, "count_records", 'count_records_mode=True, selected_streams=["orders"]'),
    "sync": (SOURCE, "other", 'selected_streams=["orders"]'),
    "target's test": (DESTINATION, "test_connection", "test_connection=True"),
    "before": (DESTINATION, "before_process", ""),
    "after": (DESTINATION, "after_process", ""),
    "export": (DESTINATION, "other", "batch_processing=True"),
    "one record": (DESTINATION, "export_data", ""),
}


def run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(text)
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "script.py", *arguments]
    return subprocess.run(
        line, cwd=folder, env=where, input=MESSAGES, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("failing", ["of_a_driver", "by_exit", "by_refusing"])
@pytest.mark.parametrize("case", CASES)
def test_what_nobody_catches_shows_no_secret(case: str, failing: str, tmp_path: Path) -> None:
    script, hook, mode = CASES[case]
    script = script.replace("{hook}", hook).replace("{arguments}", f"{GIVEN}, {mode}")
    done = run(tmp_path, HEAD.replace("{failing}", failing) + script)
    assert done.returncode == 1
    assert "401 for ****" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_the_line_of_the_script_that_holds_it_is_masked_too(tmp_path: Path) -> None:
    script = SOURCE.replace("{hook}", "test_connection").replace(
        "{arguments}", f"{GIVEN}, test_connection=True"
    )
    done = run(tmp_path, HEAD.replace("{failing}", "of_a_driver") + script)
    assert 'Shop(config={"token": "****"}, test_connection=True).process()' in done.stderr
    assert "script.py" in done.stderr, "where it was raised is what a traceback is for"


def test_a_config_of_the_command_line_is_masked_too(tmp_path: Path) -> None:
    script = SOURCE.replace("{hook}", "test_connection").replace("{arguments}", "")
    text = HEAD.replace("{failing}", "of_a_driver") + script
    done = run(tmp_path, text, "--test_connection", "--config_json", f'{{"token": "{SECRET}"}}')
    assert "401 for ****" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_script_may_catch_the_error_itself(tmp_path: Path) -> None:
    script = SOURCE.replace("{hook}", "test_connection").replace(
        "{arguments}", f"{GIVEN}, test_connection=True"
    )
    begin, last = script.rstrip().rsplit("\n", 1)
    caught = f"try:\n    {last}\nexcept RuntimeError as error:\n    print(error.args, repr(error.__cause__))\n"
    done = run(tmp_path, HEAD.replace("{failing}", "of_a_driver") + begin + "\n" + caught)
    assert (done.returncode, done.stderr) == (0, "")
    assert "401 for ****" in done.stdout
    assert SECRET not in done.stdout
