"""Column names that an engine keeps for itself, quoted or not: those of its system columns.

For these, PostgreSQL says `conflicts with a system column name` and InnoDB `Incorrect column name`.
SQLite and DuckDB take any name. Of SQLite's three names for a row's number one is reserved here:
if all three were columns, nothing would tell rows apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReservedNames:
    """The column names that an engine does not take.

    Args:
        names: The names; in lower case, if `folds`.
        prefixes: How no name may begin, in lower case.
        folds: Whether the case of letters makes no difference.
    """

    names: frozenset[str] = field(default_factory=frozenset)
    prefixes: tuple[str, ...] = ()
    folds: bool = True

    def usable(self, name: str) -> str | None:
        """Return how a usable name begins for a reserved one, or None if a name is not reserved.

        A hash comes after it.
        """
        folded = name.lower()
        if folded.startswith(self.prefixes):
            return f"c{name}" if name.startswith("_") else f"c_{name}"
        compared = folded if self.folds else name
        return name if compared in self.names else None


_POSTGRES = ReservedNames(
    frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}), folds=False
)
_MYSQL = ReservedNames(
    frozenset({"db_row_id", "db_trx_id", "db_roll_ptr", "fts_doc_id"})
)  # InnoDB's
_SQLITE = ReservedNames(frozenset({"_rowid_"}))

RESERVED: Mapping[str, ReservedNames] = {
    "postgresql": _POSTGRES,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": _SQLITE,
    "oracle": ReservedNames(frozenset({"rowid"})),
    "bigquery": ReservedNames(
        frozenset({"_change_type", "_change_sequence_number", "_change_timestamp"}),
        ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier"),
    ),
    "snowflake": ReservedNames(prefixes=("metadata$",)),
    "sql": ReservedNames(_POSTGRES.names | _MYSQL.names | _SQLITE.names | {"rowid"}),
}
"""By the kind of the database, or the dialect of its URL.

`sql` stands for a dialect that is not known yet.
"""


def reserved_names(kind: str, dialect: str | None = None) -> ReservedNames:
    """Return the column names that a database does not take.

    Args:
        kind: Of the destination.
        dialect: Of its URL, where that says more.
    """
    return RESERVED.get(dialect or kind) or RESERVED.get(kind) or ReservedNames()
