"""A connection of PyMySQL that sends the server no file of its own choice."""

from typing import Any

import pymysql
from pymysql.connections import Connection as PlainConnection
from typing_extensions import override


class Connection(PlainConnection):
    """A connection that sends no file but the one that a LOAD DATA LOCAL of ours names.

    The protocol lets a server answer any statement by asking for any file of the client, by its
    path.
    """

    offered: str | None = None
    """The path of that file, while the statement runs."""
    _answers = False

    def _execute_command(self, command: int, sql: Any) -> None:
        self._answers = True
        super()._execute_command(command, sql)  # type: ignore[misc]

    @override
    def _read_packet(self, *given: Any, **named: Any) -> Any:
        packet = super()._read_packet(*given, **named)  # type: ignore[no-untyped-call]
        # Only the first packet after a command can ask for a file; a later one that begins in the
        # same way is a row with a NULL.
        first, self._answers = self._answers, False
        if first and packet.is_load_local_packet():
            asked = packet.get_all_data()[1:].decode("utf-8", "surrogateescape")
            if asked != self.offered:
                self.close()  # Such a server is not to be trusted with a refusal, either.
                raise pymysql.OperationalError(
                    2068, f"the server asked for the file {asked!r}, which it was not offered"
                )
        return packet
