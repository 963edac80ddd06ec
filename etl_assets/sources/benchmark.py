"""A source of made-up rows: to measure a destination without the cost of a real source."""

from collections.abc import Iterator, Mapping
from typing import Any

from typing_extensions import override

from etl_assets.arguments import FLAG, checked
from etl_assets.exceptions import InputError
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source

COLUMNS = tuple(f"field{number}" for number in range(1, 6))
BATCH_ROWS = 50_000


class BenchmarkSource(Source):
    """One stream of so many rows, with five columns of short texts that differ from row to row.

    Args:
        num_records: How many rows.
        name: Of the source.
    """

    name = "benchmark"
    storage_kind = "generated"
    streams = (
        Stream(
            "stream1",
            schema={"type": "object", "properties": {c: {"type": "string"} for c in COLUMNS}},
        ),
    )

    def __init__(self, num_records: int, *, name: str = "benchmark") -> None:
        super().__init__(name=name)
        self.num_records = num_records

    @override
    def count_records(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int:
        return self.num_records

    @override
    def load_data(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for start in range(0, self.num_records, BATCH_ROWS):
            number = pc.cast(
                pa.array(range(start, min(start + BATCH_ROWS, self.num_records))), pa.string()
            )
            columns = {
                name: pc.binary_join_element_wise(
                    pa.scalar(f"{name} of row "), number, pa.scalar("")
                )
                for name in COLUMNS
            }
            yield pa.table(columns)


@checked(num_records=((int, float, str), "a number, or its text"), install_if_missing=FLAG)
def get_benchmark_source(
    num_records: int | str = "5e5", *, install_if_missing: bool = True
) -> BenchmarkSource:
    """Return a source of so many made-up rows.

    Args:
        num_records: A number, or its text, such as `5e5`.
        install_if_missing: There is nothing to install; taken for the sake of scripts written for
            PyAirbyte.

    Raises:
        InputError: It is no whole number from 0 on.
    """
    del install_if_missing
    try:
        number = float(num_records)
        wanted = int(number)
    except (TypeError, ValueError, OverflowError):
        number, wanted = 0.0, -1
    if wanted != number or wanted < 0:
        raise InputError(
            f"num_records is a whole number from 0 on, not {num_records!r}.",
            input_value=num_records,
        )
    return BenchmarkSource(wanted)
