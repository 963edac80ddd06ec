"""Column names that an engine keeps for itself, quoted or not: its system columns, and what begins like these.

PostgreSQL says `conflicts with a system column name`, InnoDB `Incorrect column name`. SQLite and
DuckDB take any name; of SQLite's three names of a row's number one is kept, since where all three
are columns nothing tells rows apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReservedNames:
    """The column names that an engine does not take.

    Args:
        names: As they are written.
        prefixes: What no name begins with, in lower case.
        folds: The case of letters makes no difference.
    """

    names: frozenset[str] = field(default_factory=frozenset)
    prefixes: tuple[str, ...] = ()
    folds: bool = True

    def usable(self, name: str) -> str | None:
        """Return the beginning of a usable name for a reserved one, before its hash.

        None if it is not reserved.
        """
        folded = name.lower()
        if folded.startswith(self.prefixes):
            return f"c{name}" if name.startswith("_") else f"c_{name}"
        return name if (folded if self.folds else name) in self.names else None


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
