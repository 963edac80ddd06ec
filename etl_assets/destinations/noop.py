"""A destination that keeps nothing: to measure a source, or to see that its records convert."""

from collections.abc import Mapping

from typing_extensions import override

from etl_assets.arguments import FLAG, checked
from etl_assets.destinations.base import Destination
from etl_assets.model.batch import Batch
from etl_assets.model.load import Capabilities, Load
from etl_assets.strategies import WriteStrategy


class NoopDestination(Destination):
    """Converts every batch as a database would, counts the records, and drops them.

    At-least-once, and without state: every sync begins anew.
    """

    storage_kind = "noop"
    capabilities = Capabilities(
        strategies=frozenset({WriteStrategy.APPEND, WriteStrategy.MERGE, WriteStrategy.REPLACE}),
        encoding="arrow",
    )
    _counts: Mapping[str, int] = {}

    @property
    def counts(self) -> dict[str, int]:
        """The records so far, by the stream's name."""
        return dict(self._counts)

    @override
    def export(self, batch: Batch, load: Load) -> None:
        """Convert a batch and count it.

        Raises:
            DataError: A value cannot be stored exactly.
        """
        rows = batch.to_arrow(load.stream).num_rows
        name = load.stream.full_name
        self._counts = {**self._counts, name: self._counts.get(name, 0) + rows}


@checked(install_if_missing=FLAG)
def get_noop_destination(*, install_if_missing: bool = True) -> NoopDestination:
    """Return a destination that keeps nothing.

    Args:
        install_if_missing: There is nothing to install; taken for the sake of scripts written for
            PyAirbyte.
    """
    del install_if_missing
    return NoopDestination()
