"""Reading files imports no pandas, which takes longer than many a load."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from etl_assets import DuckDBDestination, FileSource, StreamRead
from etl_assets.sync import sync

folder = sys.argv[1]
types = {"n": "integer", "x": "number", "b": "boolean", "s": "string", "o": "object"}
schema = {"properties": {name: {"type": ["null", type_]} for name, type_ in types.items()}}
schema["properties"]["d"] = {"type": ["null", "string"], "format": "date"}
schema["properties"]["p"] = {"type": ["null", "number"], "multipleOf": 0.01}
for path, options in {
    "a.csv": {}, "b.csv": {"path": "a.csv", "schema": schema}, "c.csv": {"path": "a.csv", "types": "infer"},
    "a.jsonl": {}, "b.jsonl": {"path": "a.jsonl", "schema": schema}, "p": {"path": "*.parquet", "with_origin": True},
}.items():
    source = FileSource("shop", folder, streams={"t": {"path": path, **options}})
    result = sync(StreamRead(source, source.discover()["t"]), DuckDBDestination(f"{folder}/{path}.duckdb"))
    assert result.records_loaded == 2, path
    assert "pandas" not in sys.modules, path
"""


def test_no_reader_of_files_imports_pandas(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "a.csv").write_text(
        'n,x,b,s,o,d,p\n1,0.30000000000000004,true,"a ""b""",{},2026-01-01,1.50\n2,,,,,,\n'
    )
    (tmp_path / "a.jsonl").write_text(
        '{"n": 1, "x": 0.30000000000000004, "b": true, "s": "a", "o": {"k": [1.50]}, "p": 1.5}\n'
        '{"n": 2, "x": null, "s": null, "p": 2}\n'
    )
    for name in ("1.parquet", "2.parquet"):
        parquet.write_table(pa.table({"n": [1], "s": ["x"], "t": [None]}), tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
