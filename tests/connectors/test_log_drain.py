"""What a connector writes to standard error is masked as a stream: before lines, ends and log lines are cut from it."""

import logging
import os
import time
from pathlib import Path

import pytest

from etl_assets.connectors.log_drain import KEPT_CHARACTERS, KEPT_LINES, LINE_BYTES, LogDrain
from etl_assets.redaction import MASK, remember

BODY = [f"line{number:02d}+{'ABCDEFGH' * 7}" for number in range(60)]
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *BODY, "qQ7=", "-----END PRIVATE KEY-----"])


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.INFO, "log_drain")
    return logging.getLogger("log_drain")


def tail_of(written: bytes, logger: logging.Logger, chunk: int = 1 << 16) -> str:
    read_end, write_end = os.pipe()
    drain = LogDrain(read_end, logger, heard=lambda: None)
    os.close(read_end)
    drain.start()
    for at in range(0, len(written), chunk):
        os.write(write_end, written[at : at + chunk])
    os.close(write_end)
    drain.stop()
    return drain.tail()


@pytest.mark.parametrize("after", [0, 1, 2, 20, KEPT_LINES - 1, KEPT_LINES, 70])
@pytest.mark.parametrize("chunk", [7, 1 << 16])
def test_of_a_key_of_many_lines_no_line_is_shown(
    after: int, chunk: int, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    remember(PEM)
    lines = [f"{number} is fine" for number in range(after)]
    written = "\n".join(["it begins", f"bad key: {PEM}", *lines, ""])
    told = tail_of(written.encode(), logger, chunk)
    assert lines[-KEPT_LINES:] == [line for line in told.split("\n") if line.endswith("fine")]
    for text in (told, caplog.text):
        assert "ABCD" not in text
        assert "qQ7=" not in text
    assert "it begins" in caplog.text
    assert f"bad key: {MASK}" in caplog.text


def test_a_secret_of_short_lines_is_held_until_it_is_known_to_be_one(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    remember("abc\n\ndef\nghi")
    told = tail_of(b"x abc\n\nother\nabc\n\ndef\nghi\nend abc\n", logger)
    for text in (told, "\n".join(record.getMessage() for record in caplog.records)):
        assert "ghi" not in text
        assert "def" not in text
        assert "x abc" in text  # no secret: it did not go on
        assert "other" in text
        assert text.rstrip().endswith("end abc")


def test_a_key_that_other_lines_interrupt_is_masked_line_by_line(logger: logging.Logger) -> None:
    remember(PEM)
    told = tail_of(
        "\n".join(line for each in PEM.split("\n")[:20] for line in (each, "-")).encode(), logger
    )
    assert set(told.split("\n")) == {MASK, "-"}


@pytest.mark.parametrize(
    "before", [0, LINE_BYTES - 10, LINE_BYTES, LINE_BYTES + 10, 3 * LINE_BYTES]
)
def test_a_secret_longer_than_a_shown_line_is_not_shown_in_part(
    before: int, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    remember("s3cret" * 2_000)
    told = tail_of(b"x" * before + b"s3cret" * 2_000 + b"yyy\nend\n", logger, 4096)
    for text in (told, caplog.text):
        assert "s3cret" not in text
        assert "x" * min(before, LINE_BYTES) in text or text is told
    assert told.endswith("end")
    assert len(told) <= KEPT_CHARACTERS


def test_the_end_is_cut_by_characters_after_it_was_masked(logger: logging.Logger) -> None:
    remember("s3cret" * 100)
    told = tail_of(b"s3cret" * 100 + b"\n" + (b"y" * 1000 + b"\n") * 8, logger)
    assert "s3cret" not in told
    assert told.endswith("y" * 1000)


def test_a_drain_of_this_file_keeps_every_plain_line(logger: logging.Logger) -> None:
    remember(PEM)
    lines = [line.rstrip() for line in Path(__file__).read_text().splitlines() if line.strip()]
    assert tail_of(Path(__file__).read_bytes(), logger).split("\n") == lines[-KEPT_LINES:]


def test_what_looks_like_the_beginning_of_a_secret_again_and_again_is_not_held_for_ever(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """Each line was compared with all that were held: a connector hung at its own standard error."""
    remember("once\nmore-of-it\nshort")
    began = time.monotonic()
    told = tail_of(b"at once\n" * 20_000 + b"once\nmore-of-it\nshort\nthe end\n", logger, 4000)
    assert time.monotonic() - began < 5
    first = caplog.records[0].getMessage()
    assert set(first.split("\n")) == {"at once"}
    for text in (told, "\n".join(record.getMessage() for record in caplog.records)):
        assert "more-of-it" not in text
        assert "short" not in text


@pytest.mark.parametrize("before", range(30))
def test_a_secret_that_begins_where_held_lines_are_logged_is_masked(
    before: int, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    remember("once\nmore-of-it\nshort")
    lines = ["once"] * before + ["once", "more-of-it", "short", "the end"]
    told = tail_of("\n".join([*lines, ""]).encode(), logger)
    shown = [line for record in caplog.records for line in record.getMessage().split("\n")]
    assert [line for line in shown if line == "once"] == ["once"] * before
    assert shown[-1] == told.split("\n")[-1] == "the end"
    assert not {"more-of-it", "short"} & {*shown, *told.split("\n")}
