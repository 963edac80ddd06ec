"""The schema contract of a stream: what becomes of values and columns that do not fit the table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Self

from etl_assets.exceptions import ConfigError, did_you_mean


class ContractMode(StrEnum):
    """What happens when something does not fit.

    `EVOLVE` changes the table: columns are added, types widened. With the others the table stays as
    it is: `FREEZE` is an error, `DISCARD_VALUE` leaves the value out, `DISCARD_ROW` the row.
    """

    EVOLVE = "evolve"
    FREEZE = "freeze"
    DISCARD_VALUE = "discard_value"
    DISCARD_ROW = "discard_row"

    @property
    def discards(self) -> bool:
        """Whether something is left out."""
        return self in {ContractMode.DISCARD_VALUE, ContractMode.DISCARD_ROW}


@dataclass(frozen=True)
class SchemaContract:
    """What may change about a table.

    Args:
        columns: What happens when a field comes that the table has no column for.
        data_type: What happens when a value comes that its column cannot hold, or that nothing can.
    """

    columns: ContractMode = ContractMode.EVOLVE
    data_type: ContractMode = ContractMode.EVOLVE

    @classmethod
    def of(cls, given: "SchemaContract | ContractMode | str | Mapping[str, Any] | None") -> Self:
        """Read a contract: one mode for all, or a mapping of `columns` and `data_type`.

        None stands for a contract that evolves.

        Raises:
            ConfigError: There is no such mode or key.
        """
        if given is None:
            return cls()
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            mode = _mode(given, "schema_contract")
            return cls(mode, mode)
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"schema_contract cannot be {given!r}.",
                hint='Write "freeze", or {"columns": "evolve", "data_type": "freeze"}.',
            )
        keys = ("columns", "data_type")
        for key in given:
            if key not in keys:
                raise ConfigError(
                    f"schema_contract has no {key!r}.", hint=did_you_mean(str(key), keys)
                )
        return cls(**{key: _mode(mode, f"schema_contract[{key!r}]") for key, mode in given.items()})

    @property
    def evolves(self) -> bool:
        """Whether the table follows whatever comes."""
        return self.columns is self.data_type is ContractMode.EVOLVE

    @property
    def discards(self) -> bool:
        """Whether records may be left out, or lose a value."""
        return self.columns.discards or self.data_type.discards

    def spelled(self) -> str | dict[str, str]:
        """Return the shortest spelling that `of` reads back."""
        if self.columns is self.data_type:
            return str(self.columns)
        return {"columns": str(self.columns), "data_type": str(self.data_type)}


EVOLVES = SchemaContract()
"""What holds where nothing is said."""


def _mode(value: Any, where: str) -> ContractMode:
    try:
        return ContractMode(value)
    except ValueError:
        hint = did_you_mean(str(value), ContractMode)
        raise ConfigError(f"{where} cannot be {value!r}.", hint=hint) from None


@dataclass(frozen=True)
class Rejection:
    """Why one record was left out, or lost a value.

    Args:
        field: At the source.
        reason: In short; holds no value.
        whole: The record was left out, not the value alone.
        record: Its JSON text, where it is to be kept.
        told: What its reader said of it, with the place it stands in.
    """

    field: str
    reason: str
    whole: bool
    record: str | None = None
    told: str | None = None


@dataclass(frozen=True)
class Rejected:
    """How often one thing was wrong with one field.

    Args:
        field: At the source.
        reason: In short; holds no value.
        rows: How many records were left out for it.
        values: How many records lost the value.
    """

    field: str
    reason: str
    rows: int = 0
    values: int = 0


def summed(*parts: Iterable[Rejected]) -> list[Rejected]:
    """Add up what was rejected, in the order in which it was first seen."""
    rows: Counter[tuple[str, str]] = Counter()
    values: Counter[tuple[str, str]] = Counter()
    for one in chain.from_iterable(parts):
        rows[one.field, one.reason] += one.rows
        values[one.field, one.reason] += one.values
    return [Rejected(*key, rows[key], values[key]) for key in rows]


def counted(rejections: Sequence[Rejection]) -> list[Rejected]:
    """Count rejections by field and reason."""
    return summed(map(_as_counts, rejections))


def _as_counts(one: Rejection) -> Rejected:
    if one.whole:
        return Rejected(one.field, one.reason, rows=1)
    return Rejected(one.field, one.reason, values=1)
