"""The cases: one JSON file for each type or hazard, in `cases/`. A new type is a new file.

```json
{
  "group": "numbers",
  "title": "integers at the bounds of 64 bits",
  "declared": {"type": ["null", "integer"]},
  "values": [9223372036854775807, -9223372036854775808],
  "accept": ["exact", "text"]
}
```

| Key | Means |
| --- | --- |
| `group`, `title` | where and under what name it stands in the report |
| `values` | each is the field `measured` of a row of its own, beside an `id` |
| `declared` | JSON Schema of that field; without it the stream declares no schema |
| `loads` | instead of `values`: objects of `rows`, `properties`, `strategy`, `full_refresh` |
| `streams` | the streams' names; each is loaded with the rows. By default one with a plain name |
| `primary_key`, `replication_key` | those of the stream |
| `wanted` | what is to be read back: values, or rows with `loads`; by default what was sent |
| `accept` | forms of the value: `exact`, `text`, `json`, `base64`; `error`: the load is refused |
| `error_names` | what such an error must name beside the stream; the field `measured` by default |
| `recoverable` | different values must be told apart after reading them back |

How to write values that JSON has not: `etl_assets.testing.notation`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from etl_assets.testing.notation import decode, decode_row

FOLDER = Path(__file__).parent / "cases"
FORMS = frozenset({"exact", "text", "json", "base64", "error"})
_KEYS = frozenset(
    {
        *("group", "title", "values", "declared", "loads", "streams", "primary_key"),
        *("replication_key", "wanted", "accept", "error_names", "recoverable"),
    }
)
_LOAD_KEYS = frozenset({"rows", "properties", "strategy", "full_refresh"})
PLAIN = "things"
FIELD = "measured"


@dataclass(frozen=True)
class CaseLoad:
    """One load of a case: rows, the stream's JSON Schema at that time, and the write strategy."""

    rows: Sequence[Mapping[str, Any]]
    schema: Mapping[str, Any] | None
    strategy: str
    full_refresh: bool


@dataclass(frozen=True)
class Case:
    """One type or hazard: what is loaded, and what may come of it."""

    name: str
    group: str
    title: str
    loads: Sequence[CaseLoad]
    wanted: Sequence[Mapping[str, Any]]
    accept: frozenset[str]
    streams: Sequence[str]
    primary_key: Sequence[str]
    replication_key: str | None
    error_names: Sequence[str]
    recoverable: bool

    @property
    def sent(self) -> Sequence[Mapping[str, Any]]:
        """The rows as they were given, in the order of `wanted`; of an update the last one."""
        every = [row for load in self.loads for row in load.rows]
        return every if len(every) == len(self.wanted) else self.wanted

    @property
    def strategies(self) -> frozenset[str]:
        """The write strategies that it uses."""
        return frozenset(load.strategy for load in self.loads)


@cache
def load_cases(folder: Path = FOLDER) -> tuple[Case, ...]:
    """Read the cases of a folder, by name."""
    return tuple(read_case(path) for path in sorted(folder.glob("*.json")))


def read_case(path: Path) -> Case:
    """Read one case.

    Raises:
        ValueError: It is not written as it should be; names the file.
    """
    written = json.loads(path.read_text(encoding="utf-8"))
    unknown = set(written) - _KEYS
    accept = frozenset(written.get("accept") or ())
    if unknown or not accept or not accept <= FORMS:
        raise ValueError(
            f"{path.name}: unknown keys {sorted(unknown)}, or nothing known to accept: "
            f"{sorted(accept)}"
        )
    loads = _loads(written, path.name)
    return Case(
        name=path.stem,
        group=written["group"],
        title=written["title"],
        loads=loads,
        wanted=_wanted(written, loads),
        accept=accept,
        streams=tuple(decode(written.get("streams") or [PLAIN])),
        primary_key=tuple(written.get("primary_key") or ()),
        replication_key=written.get("replication_key"),
        error_names=tuple(written.get("error_names") or ([FIELD] if "values" in written else [])),
        recoverable=bool(written.get("recoverable")),
    )


def _loads(written: Mapping[str, Any], name: str) -> Sequence[CaseLoad]:
    if "values" in written:
        declared = written.get("declared")
        properties = None if declared is None else {"id": {"type": "integer"}, FIELD: declared}
        return [
            CaseLoad(
                _numbered(decode(written["values"])),
                _schema(properties),
                "append",
                full_refresh=False,
            )
        ]
    loads = []
    for one in written["loads"]:
        if set(one) - _LOAD_KEYS:
            raise ValueError(f"{name}: a load has unknown keys {sorted(set(one) - _LOAD_KEYS)}")
        rows = [decode_row(row) for row in one["rows"]]
        properties = one.get("properties")
        full = bool(one.get("full_refresh"))
        loads.append(CaseLoad(rows, _schema(properties), one.get("strategy", "append"), full))
    return loads


def _wanted(written: Mapping[str, Any], loads: Sequence[CaseLoad]) -> Sequence[Mapping[str, Any]]:
    if "wanted" not in written:
        return [row for load in loads for row in load.rows]
    if "values" in written:
        return _numbered(decode(written["wanted"]))
    return [decode_row(row) for row in written["wanted"]]


def _numbered(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"id": number, FIELD: value} for number, value in enumerate(values, 1)]


def _schema(properties: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if properties is None else {"type": "object", "properties": dict(properties)}
