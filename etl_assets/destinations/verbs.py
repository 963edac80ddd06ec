"""PyAirbyte's verbs of a destination: what a script calls.

The engine (`sync`, the assets) never calls them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etl_assets._connector_base import ConnectorBase
from etl_assets.arguments import checked
from etl_assets.registry import reach
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    from etl_assets.results import WriteResult


class DestinationVerbs(ConnectorBase):
    """Configuring a destination, and writing to it, from a script."""

    connector_type = "destination"

    @checked()
    def write(
        self,
        source_data: Any,
        *,
        streams: Sequence[str] | str | None = None,
        cache: Any = None,
        state_cache: Any = None,
        write_strategy: str | WriteStrategy = WriteStrategy.AUTO,
        force_full_refresh: bool = False,
    ) -> "WriteResult":
        """Write a source's streams, each from where it ended here.

        Or what a read has brought into a cache.

        Args:
            source_data: A source, or a `ReadResult`. Of the latter only what came into the cache
                since the last write is written.
            streams: Which; by default the source's selected ones, or all that were read.
            cache: Read into this cache first, and write from there; None or False to go straight.
            state_cache: Where the bookmarks of a destination are kept that keeps none itself; False
                for nowhere.
            write_strategy: How rows meet the tables.
            force_full_refresh: Write everything: with `auto` in place of what is there, else as the
                strategy says.

        Raises:
            InputError: `source_data` is neither.
            ConnectorWriteError: Streams were not written; names them. The others are.
        """
        written: WriteResult = reach("write")(
            self,
            source_data,
            streams=streams,
            cache=cache,
            state_cache=state_cache,
            write_strategy=write_strategy,
            full_refresh=force_full_refresh,
        )
        return written
