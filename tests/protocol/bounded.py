"""What the fuzzer runs in a process of its own: messages that are small, and what may cost much."""

import random
from collections.abc import Iterator
from typing import Any

NUMBERS = [
    "1e300000000", "-1e300000000", "1e-300000000", "1e999999999999999999", "1e9999999999999999999999", "0e-300000000",
    "9" * 5000, f"0.{'1' * 5000}", f"{'1' * 400}.{'2' * 400}", "1e400", "-0.0", "1e-5000", "NaN", "Infinity",
    "-Infinity", "1E+2147483648", "0.1e1000000", f"{'9' * 4300}", "1.0e0", "123456789012345678901234567890.5",
]  # fmt: skip
TYPES = ["integer", "number", "string", "object", "array", "boolean", "null"]


def record(value: str, declared: str) -> str:
    """Return a SCHEMA and a RECORD whose one field is a JSON text."""
    schema = f'{{"type":"SCHEMA","stream":"s","schema":{{"properties":{{"n":{declared}}}}}}}'
    return f'{schema}\n{{"type":"RECORD","stream":"s","record":{{"n":{value}}}}}\n'


def _known() -> Iterator[str]:
    declared = [
        '{"type":"integer"}',
        '{"type":"number","multipleOf":0.01}',
        '{"type":"string"}',
        "{}",
        '{"type":"number"}',
    ]
    for number in NUMBERS:
        for one in declared:
            yield record(number, one)
        yield record(f'{{"a":[{number}]}}', "{}")
        yield record("1", f'{{"type":"number","multipleOf":{number},"maximum":{number}}}')
        yield f'{{"type":"STATE","value":{{"bookmarks":{{"s":{{"n":{number}}}}}}}}}\n'
    for mark in ("[", '{"a":', '{"anyOf":['):
        yield record(mark * 3000, "{}")
        yield record("1", mark * 3000)
    yield record('"\\ud800"', '{"type":"string"}')
    yield record("1", '{"type":"string"}').replace('"n"', '"\\ud800"')
    yield record("1", '{"type":"string"}').replace('"s"', '"\\ud800"')


CORPUS = list(_known())


def made(chance: random.Random) -> str:
    """Return lines that nobody has thought of."""

    def value(depth: int) -> str:
        kind = chance.randrange(6) if depth < 4 else chance.randrange(3)
        if kind < 2:
            sign, digits = (
                chance.choice(["", "-"]),
                "".join(chance.choices("0123456789", k=chance.randrange(1, 60))),
            )
            point = f".{chance.randrange(10**9)}" if chance.random() < 0.4 else ""
            exponent = (
                f"e{chance.choice(['', '-', '+'])}{10 ** chance.randrange(1, 20)}"
                if chance.random() < 0.6
                else ""
            )
            return f"{sign}{digits.lstrip('0') or '0'}{point}{exponent}"
        if kind == 2:
            return chance.choice(
                ['"x"', "null", "true", '"\\ud800"', "NaN", '"2026-01-01T00:00:00Z"', *NUMBERS]
            )
        inner = [value(depth + 1) for _ in range(chance.randrange(4))]
        if kind == 3:
            return f"[{','.join(inner)}]"
        return f"{{{','.join(f'{chr(34)}k{at}{chr(34)}:{one}' for at, one in enumerate(inner))}}}"

    def schema(depth: int) -> Any:
        import json

        kind = chance.randrange(7)
        if kind < 3 or depth > 6:
            return {
                "type": chance.choice([*TYPES, TYPES[:3], ["null", "number"]]),
                "multipleOf": chance.choice([0.01, 1, -1]),
            }
        if kind == 3:
            return {"$ref": f"#/definitions/d{chance.randrange(8)}"}
        if kind == 4:
            return {"x-arrow": chance.choice(["list", "struct"]), "items": schema(depth + 1),
                    "properties": {"a": schema(depth + 1), "b": schema(depth + 1)}}  # fmt: skip
        word = chance.choice(["anyOf", "oneOf", "allOf"])
        made: dict[str, Any] = {word: [schema(depth + 1) for _ in range(chance.randrange(1, 5))]}
        return json.loads(json.dumps(made))

    import json

    definitions = {f"d{at}": schema(0) for at in range(8)}
    document = {"definitions": definitions, "properties": {"n": schema(0), "m": schema(0)}}
    head = json.dumps({"type": "SCHEMA", "stream": "s", "schema": document})
    records = [
        f'{{"type":"RECORD","stream":"s","record":{{"n":{value(0)},"m":{value(0)}}}}}'
        for _ in range(3)
    ]
    return "\n".join([head, *records, ""])


def take(text: str) -> None:
    """Take lines by every way in which they are taken; an error is one of the library's."""
    from etl_assets.destinations.database.state_rows import dump
    from etl_assets.exceptions import EtlAssetsError
    from etl_assets.model.batch import Batch, declared_schema
    from etl_assets.model.bookmarks.row_cells import row_hash
    from etl_assets.model.stream import Stream
    from etl_assets.protocol.record_forms import SingerForm
    from etl_assets.protocol.record_runs import RecordRuns
    from etl_assets.protocol.singer.lines import decoder
    from etl_assets.protocol.singer.messages import (
        RecordMessage,
        SchemaMessage,
        StateMessage,
        decode,
    )

    stream = Stream("s")
    for line in text.splitlines():
        try:
            message = decode(line)
            if isinstance(message, SchemaMessage):
                stream = Stream(message.stream, schema=message.schema)
                declared_schema(stream)
            elif isinstance(message, RecordMessage):
                row_hash(message.record)
                for of in (Stream("s"), stream):
                    _quietly(lambda of=of, row=message.record: Batch([row]).to_arrow(of))
            elif isinstance(message, StateMessage):
                dump(message.value)
        except EtlAssetsError:
            continue
    lines = decoder(lambda _: None)
    _quietly(lambda: [one.record for one in lines.decode(text.encode("utf-8", "surrogatepass"))])
    record_runs = RecordRuns(
        SingerForm(),
        lambda _, name: ("", "s") if name == "s" else None,
        {("", "s"): stream},
        lambda *_: [],
    )

    def columns() -> None:
        for run in record_runs.cut(text.encode("utf-8", "surrogatepass")):
            for batch in run.parse(run.lines) if run.parse is not None else ():
                batch.to_arrow(stream)

    _quietly(columns)


def _quietly(work: Any) -> None:
    from etl_assets.exceptions import EtlAssetsError

    try:
        work()
    except EtlAssetsError:
        return


def main(seed: int, count: int) -> None:
    """Take the known cases, or so many that are made of a seed; print how long the slowest took."""
    import json
    import time

    chance = random.Random(seed)
    cases = [made(chance) for _ in range(count)] if count else CORPUS
    slowest = 0.0
    for case in cases:
        began = time.monotonic()
        try:
            take(case)
        except BaseException:
            print(case[:1000])
            raise
        slowest = max(slowest, time.monotonic() - began)
    print(json.dumps({"cases": len(cases), "slowest": slowest}))


PROGRAM = (
    "import sys; from tests.protocol.bounded import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
