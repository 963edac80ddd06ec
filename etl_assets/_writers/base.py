"""The type of what can be written to, where scripts written for PyAirbyte look for it."""

from abc import ABC
from typing import Any

from typing_extensions import override

from etl_assets.registry import reach


class AirbyteWriterInterface(ABC):  # noqa: B024 - a kind to check for: what is of it overrides other hooks
    """Something that is written to; destinations and caches are, without inheriting from it."""

    @property
    def name(self) -> str:
        """A name for people."""
        return type(self).__name__

    @classmethod
    @override
    def __subclasshook__(cls, other: type, /) -> Any:
        if cls is not AirbyteWriterInterface:
            return NotImplemented
        kinds = (reach("Destination"), reach("CacheBase"))
        return True if issubclass(other, kinds) else NotImplemented
