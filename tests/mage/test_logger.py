"""The logger of sources and destinations takes Mage's tags at every level, whatever logging is set up to do."""

import copy
import logging
import subprocess
import sys
from typing import Any

import pytest

from etl_assets import Destination, Source
from etl_assets.redaction import remember
from etl_assets.utils.logger import Logger

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "owner", [Source(), Destination(), Source(logger=logging.getLogger("mine"))], ids=str
)
def test_every_level_takes_tags(level: str, owner: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        getattr(owner.logger, level)("loaded 100%", tags={"stream": "users", "records": 2})
        getattr(owner.logger, level)("loaded %d", 3)
        getattr(owner.logger, level)("plain", tags={}, records=4)
    assert [record.getMessage() for record in caplog.records] == [
        'loaded 100% {"stream": "users", "records": 2}', "loaded 3", 'plain {"records": 4}'
    ]  # fmt: skip
    assert [vars(record)["tags"] for record in caplog.records] == [
        {"stream": "users", "records": 2}, {}, {"records": 4}
    ]  # fmt: skip
    assert {record.filename for record in caplog.records} == {"test_logger.py"}


def test_what_is_logged_elsewhere_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    first = Source(logger=logging.getLogger("mine"))
    second = Logger(caller="second", logger=first.logger)
    second.info("hello", tags={"a": object})
    assert second.name == "mine"
    assert second.getChild("child").name == "mine.child"
    assert copy.copy(second).logger is logging.getLogger("mine")
    assert Logger(caller=first).name == "etl_assets.Source"
    with pytest.raises(AttributeError):
        _ = second.nothing
    Logger(caller="quiet", verbose=0).error("never")
    Source(verbose=0).logger.error("never")
    assert "never" not in caplog.text


def test_tags_are_short_and_show_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    remember("s3cr3t-value")
    Source().logger.warning("config", tags={"password": "s3cr3t-value", "rows": ["x" * 100] * 100})
    assert "s3cr3t-value" not in caplog.text
    assert len(caplog.records[0].getMessage()) < 1_100


PROGRAM = """
import logging, logging.config
logging.config.dictConfig({"version": 1, "root": {"level": "DEBUG", "handlers": []}})
class Strict(logging.Logger):
    def _log(self, level, msg, args, exc_info=None, extra=None, stack_info=False, stacklevel=1):
        super()._log(level, msg, args, exc_info, extra, stack_info, stacklevel)
logging.setLoggerClass(Strict)
logging.basicConfig(level=logging.DEBUG, force=True)
from etl_assets import Source
Source().logger.info("said", tags={"a": 1})
"""


def test_it_does_so_whatever_else_configured_logging() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert 'said {"a": 1}' in done.stderr
    assert done.stdout == ""
