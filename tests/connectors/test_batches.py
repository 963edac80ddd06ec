"""The files that a Singer tap's BATCH messages name: those in its own folder are read and removed, and no others."""

import gzip
import io
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from etl_assets.connectors.names import Protocol
from etl_assets.connectors.workspace import private_root
from etl_assets.exceptions import ProtocolError
from etl_assets.protocol.singer import batch_files
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source

from .conftest import HERE, LIMITS, Loaded
from .test_singer import record, schema, state

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]
LINE = '{"id": %d, "name": "n"}\n'


def batch(*files: str, kind: str = "jsonl", compression: str | None = None) -> dict[str, Any]:
    encoding = {"format": kind, "compression": compression}
    return {"type": "BATCH", "stream": "a", "encoding": encoding, "manifest": list(files)}


def writes(number: int = 1, name: str = "part.jsonl") -> str:
    return f"(here / {name!r}).parent.mkdir(exist_ok=True); (here / {name!r}).write_text({LINE % number!r})"


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize(
    "url",
    ["file://{here}/x/p%20a.jsonl", "file://localhost{here}/x/p a.jsonl", "{here}/x/p a.jsonl"],
)
def test_files_in_its_own_folder_are_read(
    singer: Make, load: Load, compression: str | None, url: str
) -> None:
    data = "".join(LINE % number for number in range(5)).encode()
    data = gzip.compress(data[:60]) + gzip.compress(data[60:]) if compression else data
    does = f"(here / 'x').mkdir(); (here / 'x' / 'p a.jsonl').write_bytes({data!r})"
    message = batch(url, compression=compression)
    result = load(
        singer(schema("a"), record("a", 9), message, state(a=9), streams=["a"], does=does)
    )
    assert result.rows("tap_fake.a") == [0, 1, 2, 3, 4, 9]


def test_names_that_were_not_encoded_are_read_too(singer: Make, load: Load) -> None:
    """Versions of the Singer SDK write a path into a URL as it is."""
    name = "a#1?b%41.jsonl"
    message = batch(f"file://{{here}}/{name}")
    result = load(singer(schema("a"), message, streams=["a"], does=writes(7, name)))
    assert result.rows("tap_fake.a") == [7]


def test_parquet_is_read(singer: Make, load: Load) -> None:
    sink = io.BytesIO()
    parquet.write_table(pa.table({"id": [1, 2], "name": ["x", None]}), sink)
    does = f"(here / 'p.parquet').write_bytes({sink.getvalue()!r})"
    result = load(
        singer(
            schema("a"), batch("file://{here}/p.parquet", kind="parquet"), streams=["a"], does=does
        )
    )
    assert result.rows("tap_fake.a", "id, name") == [(1, "x"), (2, None)]


WATCHES = """
import os, sys, time
def there(name):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (here / name).exists():
        time.sleep(0.02)
    return (here / name).exists()
"""


def test_a_file_goes_once_its_rows_are_committed_and_not_before(
    singer: Make, load: Load, tmp_path: Path
) -> None:
    first, second = batch("file://{here}/first.jsonl"), batch("file://{here}/second.jsonl")
    said = [json.dumps(one) for one in (schema("a"), first, state(a=0), second)]
    does = (
        f"{WATCHES}\n{writes(0, 'first.jsonl')}\n{writes(1, 'second.jsonl')}\n"
        f"for line in {said!r}: print(line.replace('{{here}}', str(here)), flush=True)\n"
        "said = f\"{there('first.jsonl')} {(here / 'second.jsonl').exists()}\"\n"
        f"open({str(tmp_path / 'seen')!r}, 'w').write(said)"
    )
    result = load(singer(1, streams=["a"], does=does))
    assert "exit code 1" in result.failure("a")
    assert result.rows("tap_fake.a") == [0]
    assert (tmp_path / "seen").read_text() == "False True"


def test_a_tap_that_has_ended_long_ago_has_its_batches_read(singer: Make, load: Load) -> None:
    """Its folder stays until all it has said was read, its config does not."""
    many = 'for n in range(200): (here / f\'{n}.jsonl\').write_text(\'{"id": %d, "name": "n"}\\n\' % n)'
    lines = [batch(f"file://{{here}}/{number}.jsonl") for number in range(200)]
    result = load(singer(schema("a"), *lines, streams=["a"], does=many))
    assert result.error is None
    assert result.rows("tap_fake.a") == list(range(200))
    assert not list(private_root().glob("run-*/[0-9]*.jsonl"))


# What is elsewhere

HOSTILE = {
    "elsewhere": ("", "file://{outside}"),
    "elsewhere, encoded": ("", "file://%2e%2e/{outside}"),
    "elsewhere, as a path": ("", "{outside}"),
    "of another host": ("", "file://example.org{outside}"),
    "another scheme": ("", "s3://bucket{outside}"),
    "by dots": ("", "file://{here}/../../../../../../../../../..{outside}"),
    "by encoded dots": (
        "",
        "file://{here}/%2e%2e/%2E%2E/..%2f..%2f..%2f..%2f..%2f..%2f..{outside}",
    ),
    "by dots from here": ("", "../../../../../../../../..{outside}"),
    "a link": ("(here / 'link').symlink_to({outside!r})", "file://{here}/link"),
    "a linked folder": (
        "(here / 'link').symlink_to(Path({outside!r}).parent)",
        "file://{here}/link/secret.jsonl",
    ),
    "a hard link": ("os.link({outside!r}, here / 'link')", "file://{here}/link"),
    "a FIFO": ("os.mkfifo(here / 'fifo')", "file://{here}/fifo"),
    "a device": ("", "file:///dev/zero"),
    "a folder": ("", "file://{here}/tmp"),
    "the folder": ("", "file://{here}/."),
    "a beginning that is alike": ("", "file://{here}-2/secret.jsonl"),
    "a NUL": ("", "file://{here}/a%00b"),
    "no UTF-8": ("", "file://{here}/%ff%fe"),
    "not there": ("", "file://{here}/missing.jsonl"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_elsewhere_is_neither_read_nor_removed(
    case: str, singer: Make, load: Load, tmp_path: Path
) -> None:
    outside = tmp_path / "secret.jsonl"
    outside.write_text(LINE % 666)
    does, url = HOSTILE[case]
    does = (
        f"import os\nfrom pathlib import Path\n{does.format(outside=str(outside))}" if does else ""
    )
    url = url.replace("{outside}", str(outside))
    result = load(
        singer(
            schema("a"),
            record("a", 1),
            state(a=1),
            batch(url),
            state(a=2),
            streams=["a"],
            does=does,
        )
    )
    error = result.outcomes["a"].error
    assert isinstance(error, ProtocolError)
    assert "stream 'a'" in str(error)
    assert url.rpartition("/")[2].replace("\0", "\\x00") in str(error)
    assert result.rows("tap_fake.a") == [1]
    assert outside.read_text() == LINE % 666


def test_a_file_that_is_replaced_by_a_link_after_it_was_read_is_not_removed_through_it(
    singer: Make, load: Load, tmp_path: Path
) -> None:
    outside = tmp_path / "secret.jsonl"
    outside.write_text(LINE % 666)
    said = [json.dumps(one) for one in (schema("a"), batch("file://{here}/x/part.jsonl"))]
    does = (
        f"import time\nfrom pathlib import Path\n{writes(1, 'x/part.jsonl')}\n"
        f"for line in {said!r}: print(line.replace('{{here}}', str(here)), flush=True)\n"
        f"time.sleep(1)\n(here / 'x').rename(here / 'y')\n(here / 'x').symlink_to({str(tmp_path)!r})\n"
        f"Path({str(outside)!r}).rename({str(tmp_path / 'part.jsonl')!r})\n"
    )
    result = load(singer(state(a=1), streams=["a"], does=does))
    assert result.error is None
    assert result.rows("tap_fake.a") == [1]
    assert (tmp_path / "part.jsonl").read_text() == LINE % 666


def test_the_hint_works_when_it_is_followed_to_the_letter(
    singer: Make, load: Load, tmp_path: Path
) -> None:
    (tmp_path / "part.jsonl").write_text(LINE % 1)
    failure = load(
        singer(schema("a"), batch((tmp_path / "part.jsonl").as_uri()), streams=["a"])
    ).failure("a")
    found = re.search(r'batch_folder="(.*?)".* to "file://(.*?)"', failure)
    assert found is not None, failure
    assert found[1] == found[2] == str(Path.cwd() / "batches")


@pytest.mark.parametrize("name", ["{folder}/p.jsonl", "file://{folder}/p.jsonl", "batches/p.jsonl"])
def test_a_folder_of_the_users_is_read_and_its_files_are_removed(
    name: str, singer: Make, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "batches"
    folder.mkdir()
    outside = tmp_path / "secret.jsonl"
    for path in (outside, folder / "other.jsonl", folder / "p.jsonl"):
        path.write_text(LINE % 3)
    (folder / "link").symlink_to(outside)
    result = load(
        singer(
            schema("a"), batch(name.format(folder=folder)), streams=["a"], batch_folder="batches"
        )
    )
    assert result.error is None
    assert result.rows("tap_fake.a") == [3]
    assert not (folder / "p.jsonl").exists()
    for refused in (
        str(outside),
        f"{folder}/../secret.jsonl",
        f"file://{folder}/link",
        "secret.jsonl",
    ):
        failure = load(
            singer(schema("a"), batch(refused), streams=["a"], batch_folder=folder)
        ).failure("a")
        assert f'"batch_config" to "file://{folder}"' in failure
    assert outside.exists()
    assert (folder / "other.jsonl").exists()


def test_a_folder_that_cannot_be_made_is_named(singer: Make, load: Load, tmp_path: Path) -> None:
    where = tmp_path / "file"
    where.write_text("")
    result = load(singer(schema("a"), batch("x"), streams=["a"], batch_folder=where))
    assert str(where) in result.failure("a")


# In a container

FAKE_DOCKER = """#!/bin/sh
for one in "$@"; do case "$one" in *:/etl_assets) folder="${{one%:/etl_assets}}";; esac; done
while [ "$1" != "x/tap-fake:latest" ]; do shift; done
shift
arguments=""
for one in "$@"; do arguments="$arguments $(echo "$one" | sed "s|/etl_assets|$folder|")"; done
cd "$folder"
FAKE_HERE=/etl_assets exec "{python}" "{fake}" $arguments
"""


@pytest.fixture
def in_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    docker = tmp_path / "docker"
    docker.write_text(FAKE_DOCKER.format(python=sys.executable, fake=HERE / "fake_singer.py"))
    docker.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    kind: Protocol = "singer"

    def made(*lines: Any, **config: Any) -> ConnectorSource:
        document = {"lines": lines, **config}
        return get_source(
            "tap-fake", document, docker_image="x/tap-fake", protocol=kind, limits=LIMITS
        )

    return made


def test_a_container_names_its_files_as_it_sees_them(in_docker: Make, load: Load) -> None:
    result = load(
        in_docker(
            schema("a"), batch("file:///etl_assets/part.jsonl"), streams=["a"], does=writes(5)
        )
    )
    assert result.error is None
    assert result.rows("tap_fake.a") == [5]


@pytest.mark.parametrize(
    "url", ["file://{outside}", "file:///etl_assets/..{outside}", "file:///etl_assets/link"]
)
def test_a_container_reaches_no_file_of_the_host(
    in_docker: Make, load: Load, tmp_path: Path, url: str
) -> None:
    outside = tmp_path / "secret.jsonl"
    outside.write_text(LINE % 666)
    does = f"(here / 'link').symlink_to({str(outside)!r})"
    url = url.replace("{outside}", str(outside))
    result = load(in_docker(schema("a"), batch(url), streams=["a"], does=does))
    assert 'in its "batch_config" to "file:///etl_assets"' in result.failure("a")
    assert outside.exists()


# Damage and bombs


def packed(data: bytes) -> str:
    return f"(here / 'part').write_bytes({gzip.compress(data)!r})"


def damaged() -> dict[str, tuple[str, dict[str, Any]]]:
    whole = gzip.compress(b"".join((LINE % n).encode() for n in range(1000)))
    sink = io.BytesIO()
    parquet.write_table(pa.table({"id": list(range(1000))}), sink)
    part = batch("{here}/part", compression="gzip")
    return {
        "cut gzip": (f"(here / 'part').write_bytes({whole[: len(whole) // 2]!r})", part),
        "no gzip": ("(here / 'part').write_text('{}')", part),
        "cut parquet": (
            f"(here / 'part').write_bytes({sink.getvalue()[:-20]!r})",
            batch("{here}/part", kind="parquet"),
        ),
        "no object": ("(here / 'part').write_text('[1]\\n')", batch("{here}/part")),
        "too deep": ("(here / 'part').write_text('[' * 20000 + '\\n')", batch("{here}/part")),
        "another encoding": ("(here / 'part').write_text('')", batch("{here}/part", kind="csv")),
        "an encoding of no kind": (
            "(here / 'part').write_text('')",
            batch("{here}/part", kind=["jsonl"]),  # type: ignore[arg-type]
        ),
    }


@pytest.mark.parametrize("case", damaged())
def test_a_damaged_file_is_a_named_error(case: str, singer: Make, load: Load) -> None:
    does, message = damaged()[case]
    result = load(singer(schema("a"), message, streams=["a"], does=does))
    assert isinstance(result.outcomes["a"].error, ProtocolError), result.outcomes["a"].error
    assert "'a'" in result.failure("a")


def test_a_line_that_never_ends_is_refused_before_it_is_held(singer: Make, load: Load) -> None:
    write = "for _ in range(300): file.write(b'x' * 1000000)"
    does = f"import gzip\nwith gzip.open(here / 'part', 'wb') as file:\n    {write}\n"
    result = load(
        singer(schema("a"), batch("{here}/part", compression="gzip"), streams=["a"], does=does)
    )
    assert "a line is longer than 67,108,864 bytes" in result.failure("a")


def test_a_file_that_unpacks_to_too_much_is_refused(
    singer: Make, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_files, "RATIO_COUNTS_FROM", 1000)
    message = batch("{here}/part", compression="gzip")
    result = load(
        singer(schema("a"), message, streams=["a"], does=packed((LINE % 1).encode() * 100_000))
    )
    assert "may be a bomb" in result.failure("a")
    monkeypatch.undo()
    monkeypatch.setattr(batch_files, "MAX_FILE_BYTES", 1000)
    result = load(
        singer(schema("a"), message, streams=["a"], does=packed((LINE % 1).encode() * 100))
    )
    assert "unpacks to more than 1,000 bytes" in result.failure("a")


def test_rows_of_a_parquet_file_are_counted(
    singer: Make, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_files, "MAX_FILE_BYTES", 100_000)
    sink = io.BytesIO()
    parquet.write_table(pa.table({"id": list(range(5000)), "name": ["x" * 100] * 5000}), sink)
    does = f"(here / 'part').write_bytes({sink.getvalue()!r})"
    result = load(
        singer(schema("a"), batch("{here}/part", kind="parquet"), streams=["a"], does=does)
    )
    assert "unpacks to more than 100,000 bytes" in result.failure("a")


# A tap as it is made with the SDK

SDK_TAP = """
import sys
from singer_sdk import Stream, Tap, typing as th

class Numbers(Stream):
    name, primary_keys = "numbers", ("id",)
    schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()

    def get_records(self, context):
        yield from ({"id": n} for n in range(25))

class TapNumbers(Tap):
    name = "tap-numbers"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self):
        return [Numbers(self)]

TapNumbers.cli()
"""


@pytest.mark.connectors
@pytest.mark.parametrize("with_sdk", ["tap-jsonl", "tap-dimdate"])
def test_a_tap_of_the_singer_sdk_writes_its_batches_where_the_hint_says(
    with_sdk: str, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = HERE.parents[1] / ".venv-pipes" / with_sdk / "bin" / "python"
    if (
        not python.exists()
        or subprocess.run([python, "-c", "import singer_sdk"], check=False).returncode
    ):
        pytest.skip("there is no Singer SDK here")
    (tmp_path / "its_code.py").write_text(SDK_TAP)
    program = tmp_path / "tap-numbers"
    program.write_text(f'#!/bin/sh\nexec "{python}" "{tmp_path / "its_code.py"}" "$@"\n')
    program.chmod(stat.S_IRWXU)
    encoding = {"format": "jsonl", "compression": "gzip"}
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "batches"
    place.mkdir()
    for folder, rows in ((None, None), (place, list(range(25)))):
        config = {"batch_config": {"encoding": encoding, "storage": {"root": f"file://{place}"}}}
        source = get_source(
            "tap-numbers", config, local_executable=program, limits=LIMITS, batch_folder=folder
        )
        result = load(source)
        if rows is None:
            failure = result.failure("numbers")
            assert f'batch_folder="{place}"' in failure
            assert f'to "file://{place}"' in failure
            assert list(place.glob("*.json.gz"))
        else:
            assert result.outcomes["numbers"].error is None
            assert result.rows("tap_numbers.numbers") == rows
