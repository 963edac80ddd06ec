"""Warnings about what a call does."""

from etl_assets import redaction


class EtlAssetsWarning(UserWarning):
    """Base of every warning of this library about what a call does; its text is masked."""

    def __init__(self, message: str) -> None:
        super().__init__(redaction.redact(message))


class DataLossWarning(EtlAssetsWarning):
    """What was asked for can lose rows."""


class AirbyteExperimentalFeatureWarning(FutureWarning):
    """A feature may still change.

    This library never issues it; scripts written for PyAirbyte name it in their filters.
    """
