"""The client of the examples that was written by hand, and its fifteen lines: the same rows."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from etl_assets.sources.read import StreamRead
from tests.sources.rest.server import Asked, Reply, Server

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def source_of(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.tracker


def lines_of(name: str) -> int:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    code = text.split('"""', 2)[2]
    return len([line for line in code.splitlines() if line.strip()])


def tracker(asked: Asked) -> Any:
    if asked.headers.get("Authorization") != "Bearer a-token":
        return Reply(None, 401)
    page = int(asked.query["page"])
    if asked.path == "/issues":
        issues = [{"id": n, "updated_at": f"2026-01-0{n}"} for n in range(1, 6)]
        found = [one for one in issues if str(one["updated_at"]) >= asked.query.get("since", "")]
    else:
        found = [{"id": n} for n in range(int(asked.path.split("/")[2]) % 3)]
    return {"data": found[page * 2 - 2 : page * 2], "meta": {"pages": max(1, -(-len(found) // 2))}}


@pytest.mark.parametrize(
    ("stream", "bookmark"),
    [("issues", None), ("issues", {"updated_at": "2026-01-03"}), ("comments", None)],
)
def test_both_give_the_same_rows(
    server: Server, monkeypatch: pytest.MonkeyPatch, stream: str, bookmark: Any
) -> None:
    server.routes = dict.fromkeys(
        ("/issues", *(f"/issues/{n}/comments" for n in range(9))), tracker
    )
    monkeypatch.setenv("TRACKER_URL", server.url)
    monkeypatch.setenv("TRACKER_TOKEN", "a-token")
    found = []
    for name in ("issues_by_hand", "issues_rest"):
        source = source_of(name)
        read = StreamRead(source, source.discover().select([stream])[0])
        found.append([row for batch in read.open(bookmark) for row in batch.to_rows(read.stream)])
    assert found[0] == found[1]
    assert len(found[0]) == {"issues": 5 if bookmark is None else 3, "comments": 6}[stream]


def test_one_is_a_third_of_the_other() -> None:
    assert lines_of("issues_rest") <= 15
    assert lines_of("issues_by_hand") >= 45
