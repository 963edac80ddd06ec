"""Values in conditions, as MySQL and MariaDB compare them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.sql_transaction import SqlTransaction
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa


class Conditions(SqlTransaction):
    """The conditions that depend on a session's settings, or on a table's collation."""

    @override
    def text_literal(self, value: str) -> str:
        return f"_utf8mb4 x'{value.encode().hex()}'"  # whatever a backslash means to the session

    @override
    def among(self, name: str, type_: "pa.DataType", values: Sequence[Any]) -> str:
        import pyarrow as pa

        if not pa.types.is_string(type_):
            return super().among(name, type_, values)
        # Whatever the collation of a table that others have made.
        texts = ", ".join(f"x'{value.encode().hex()}'" for value in values)
        return f"CAST({quote(name)} AS BINARY) IN ({texts})"
