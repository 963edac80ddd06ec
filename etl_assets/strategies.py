"""How a load meets the table that is already there."""

from enum import StrEnum

from etl_assets.exceptions import InputError


class WriteStrategy(StrEnum):
    """What becomes of the rows a table holds when new ones arrive.

    `AUTO` looks at the read first. A full table is replaced, so that rows that were deleted at the
    source go; an incremental read with a primary key merges, and one without a key appends.
    """

    AUTO = "auto"
    APPEND = "append"
    MERGE = "merge"
    REPLACE = "replace"
    UPSERT = "merge"  # PyAirbyte's old name of MERGE: the same member

    @classmethod
    def _missing_(cls, value: object) -> "WriteStrategy | None":
        return cls.MERGE if value == "upsert" else None


class WriteMethod(StrEnum):
    """A strategy that is settled: what `AUTO` can stand for."""

    APPEND = "append"
    MERGE = "merge"
    REPLACE = "replace"


def resolve_strategy(wanted: WriteStrategy, *, incremental: bool, keyed: bool) -> WriteStrategy:
    """Return the strategy that `AUTO` stands for; any other stays as it is."""
    if wanted is not WriteStrategy.AUTO:
        return wanted
    if not incremental:
        return WriteStrategy.REPLACE
    return WriteStrategy.MERGE if keyed else WriteStrategy.APPEND


def strategy_named(name: str | WriteStrategy) -> WriteStrategy:
    """Return the strategy of a name.

    Raises:
        InputError: There is none.
    """
    try:
        return WriteStrategy(name)
    except ValueError:
        known = ", ".join(repr(str(each)) for each in WriteStrategy)
        raise InputError(
            f"There is no write strategy {name!r}.", hint=f"Use one of {known}.", input_value=name
        ) from None
