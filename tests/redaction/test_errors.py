"""What is raised, warned of or logged is masked, with all it came from, also in a script."""

import logging
import pickle
import subprocess
import sys
import time
import traceback
import warnings
from io import StringIO
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from etl_assets.exceptions import (
    ConfigError,
    ConnectorError,
    DataError,
    EtlAssetsWarning,
    ProtocolError,
    SchemaConflictError,
    shorten,
)
from etl_assets.logs import warn_once
from etl_assets.redaction import MASK, Redactor, redact, remember
from etl_assets.redaction.errors import MaskedError, shown_cause
from etl_assets.redaction.logs import masked_logger

SECRET = "c4nary\"\\one's secret"  # noqa: S105 - no one's
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def known() -> None:
    remember(SECRET)


def test_an_error_is_masked_when_it_is_made() -> None:
    errors = [
        ConfigError(f"no {SECRET}", hint=f"not {SECRET!r}"),
        SchemaConflictError(f"no {SECRET}", stream="s", field="f"),
        DataError("is wrong.", stream="s", field="f", value={"a": SECRET}),
        ProtocolError("is wrong.", line=b"x" * 70 + SECRET.encode()),
        ConnectorError("ended", log_text=f"no {SECRET}"),
    ]
    for error in errors:
        error.add_note(f"noted: {SECRET}")
        told = f"{error} {error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
        assert "c4nary" not in told
        assert MASK in told
        assert b"c4nary" not in pickle.dumps(error)


def test_what_an_error_is_raised_from_is_masked_too() -> None:
    class DriverError(Exception):
        def __init__(self, code: int, text: str) -> None:
            super().__init__(code, text)
            self.detail = text

    def fail() -> None:
        try:
            try:
                raise KeyError(SECRET)  # noqa: TRY301 - as in a driver
            except KeyError:
                error = DriverError(7, f"no {SECRET}")
                error.add_note(f"noted: {SECRET}")
                raise error from OSError(2, f"no {SECRET}", f"/file/{SECRET}")
        except DriverError as error:
            raise ConfigError("no login") from ExceptionGroup(
                SECRET, [error, ValueError({"password": SECRET})]
            )

    with pytest.raises(ConfigError) as caught:
        fail()
    cause = caught.value.__context__
    assert isinstance(cause, DriverError)
    text = "".join(traceback.format_exception(cause))
    assert "c4nary" not in text
    assert "DriverError: (7, 'no ****')" in text
    assert "noted: ****" in text
    assert "c4nary" not in cause.detail


def test_a_cause_that_cannot_be_changed_is_stood_for() -> None:
    class Config(BaseModel):
        port: int

    try:
        Config.model_validate({"port": SECRET})
    except ValidationError as error:
        shown = shown_cause(error)
    assert isinstance(shown, MaskedError)
    assert shown.__traceback__ is not None
    assert "ValidationError" in str(shown)
    assert "c4nary" not in str(shown)
    plain = ValueError("nothing secret")
    assert shown_cause(plain) is plain


SCRIPT = """
import etl_assets
from etl_assets import Source, Stream, get_secret

class Leaky(Source):
    streams = [Stream("things")]
    def load_data(self, stream, **kwargs):
        yield [{"id": 1}]
        try:
            raise ValueError({"password": self.config["password"]})
        except ValueError as error:
            error.add_note("noted: " + self.config["password"])
            raise RuntimeError("cannot log in with " + self.config["password"]) from error

leaky = Leaky(name="leaky", config={"password": "secret_reference::CANARY"})
leaky.read(cache=etl_assets.DuckDBCache(db_path="w.duckdb"))
"""


def test_the_traceback_of_a_script_shows_no_secret(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "CANARY": SECRET,
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "cannot log in with ****" in said
    assert "noted: ****" in said
    assert "direct cause of the following exception" in said
    assert [form for form in (SECRET, repr(SECRET)[1:-1], "c4nary") if form in said] == []


def test_a_log_line_is_masked_before_any_handler_sees_it() -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(args)s"))
    logger = masked_logger("etl_assets.test_redaction")
    assert masked_logger(logger).filters == logger.filters
    logger.addHandler(handler)
    try:
        raise ValueError(SECRET)  # noqa: TRY301 - to be logged
    except ValueError:
        logger.exception("no %s, %r", SECRET, {"a": SECRET})
    logger.warning("rows: %d", 12)
    logger.warning("wrong: %d", SECRET)
    logger.removeHandler(handler)
    told = stream.getvalue()
    assert "no ****" in told
    assert "wrong: %d ('****',)" in told
    assert "rows: 12 (12,)" in told
    assert "ValueError: ****" in told
    assert "c4nary" not in told


def test_warnings_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(EtlAssetsWarning, match=r"no \*\*\*\*") as caught:
        warnings.warn(f"no {SECRET}", EtlAssetsWarning, stacklevel=1)
    assert "c4nary" not in str(caught[0].message)
    warn_once(f"once: {SECRET}")
    assert "once: ****" in caplog.text


def test_a_value_is_masked_before_it_is_shortened() -> None:
    remember("long" * 60)
    for value in ("long" * 60, {"a": "x" * 60 + "long" * 60}, b"x" * 70 + b"long" * 60):
        assert "longlong" not in shorten(value)
        assert len(shorten(value)) <= 80
    assert shorten("a" * 200) == "'" + "a" * 78 + "…"
    assert shorten("plain") == "'plain'"


def test_redaction_takes_little_time_with_many_secrets_and_long_texts() -> None:
    redactor = Redactor()
    for number in range(100):
        redactor.remember(f"s3cret'\\ {number}/+é {number * 7919}")
    text = (
        "2024-01-02 INFO read 1000 rows of orders in 3.4 s (bookmark 2024-01-01T00:00:00Z)\n"
        * 12_500
    )
    began = time.process_time()
    assert redactor.redact(text) == text
    seconds = time.process_time() - began
    assert seconds < 2  # some 0.1 s; each form looked for by itself takes several
    assert redact("x=1") == "x=1"
