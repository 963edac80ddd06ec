"""The version of this library."""

__version__ = "0.1.0"


def get_version() -> str:
    """Return the version, such as `0.1.0`."""
    return __version__


airbyte_version = __version__
"""Of this library, by PyAirbyte's name."""

__all__ = ["__version__", "airbyte_version", "get_version"]
