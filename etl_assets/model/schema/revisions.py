"""How often the schema of a stream changes in one read.

Each change costs a look at all of its columns.
"""

from collections import Counter

from etl_assets.exceptions import ProtocolError
from etl_assets.model.limits import MAX_SCHEMAS


class Revisions:
    """The schemas that streams have had.

    Args:
        sender: Who sends them, for the error.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._count: Counter[str] = Counter()

    def note(self, stream: str) -> None:
        """Count another schema of a stream.

        Raises:
            ProtocolError: There were too many.
        """
        self._count[stream] += 1
        if self._count[stream] > MAX_SCHEMAS:
            raise ProtocolError(
                f"stream {stream!r}: {self._sender} sent more than {MAX_SCHEMAS:,} different "
                "schemas in one read.",
                hint="Have it send one that holds all its fields, or declare what changes as one "
                "object.",
                stream=stream,
            )
