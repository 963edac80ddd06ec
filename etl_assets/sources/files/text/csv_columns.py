"""The columns of a plain block of CSV, by Arrow's reader."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from etl_assets.sources.files.text.csv_blocks import Block, Dialect, Plain

if TYPE_CHECKING:
    import pyarrow as pa


def columns_of(
    block: Block, plain: Plain, dialect: Dialect, names: Sequence[str], wanted: Sequence[str]
) -> "pa.Table | None":
    """Return columns of a block as texts; None if a row has another width than the header.

    Args:
        block: The block.
        plain: What is known of it.
        dialect: How its cells are told apart.
        names: Of all columns.
        wanted: Of those that are to be read, in their order; at least one.
    """
    import pyarrow as pa
    from pyarrow import csv

    # By number, since a file may call its columns whatever it likes.
    places = {name: str(place) for place, name in enumerate(names)}
    quote = dialect.quote.decode() if plain.is_quoted and dialect.quote else False
    try:
        table = csv.read_csv(
            pa.BufferReader(block.data),
            csv.ReadOptions(
                use_threads=False,
                block_size=len(block.data) + 1,
                column_names=list(places.values()),
                encoding="utf8",
            ),
            csv.ParseOptions(
                delimiter=dialect.delimiter.decode(),
                quote_char=quote,
                double_quote=True,
                escape_char=False,
                newlines_in_values=plain.is_quoted,
                ignore_empty_lines=False,
            ),
            csv.ConvertOptions(
                check_utf8=False,  # that is proven
                column_types=dict.fromkeys(places.values(), pa.string()),
                strings_can_be_null=False,
                include_columns=[places[name] for name in wanted],
            ),
        )
    except pa.ArrowInvalid:
        return None
    if len(table) != plain.rows:
        return None
    return table.rename_columns(list(wanted)).combine_chunks()
