"""The other side: it could not be reached, or reading from it failed."""

from etl_assets.exceptions.base import EtlAssetsError


class ConnectError(EtlAssetsError):
    """The other side could not be reached or did not let us in."""


class AuthenticationError(ConnectError):
    """The credentials are wrong, missing or not allowed to do this."""


class UnavailableError(ConnectError):
    """The other side is not reachable now; trying again may help."""

    retryable = True


class SourceError(EtlAssetsError):
    """Reading from the source failed."""


class StreamReadError(SourceError):
    """The connector raised an error that is not ours.

    Whether it may pass, nobody knows, so trying again may help.
    """

    retryable = True


class RateLimitedError(SourceError):
    """The source asks for a pause.

    Args:
        message: What happened.
        retry_after: Seconds to wait, where the source said so.
        hint: What the reader can do.
        stream: The stream that was being read.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        hint: str | None = None,
        stream: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, stream=stream)
        self.retry_after = retry_after
