"""Every public error, sorted by what the caller can do about it.

```
EtlAssetsError
├── ConfigError             the user must change something: a name, an option, a secret
│   ├── InputError              an argument of a call; also a ValueError
│   │   ├── ArgumentTypeError       an unknown argument, or one of another type; also a TypeError
│   │   └── NoStreamsSelectedError  there is nothing to read
│   ├── NameNormalizationError  a name from which no identifier can be made
│   └── SecretNotFoundError     no source of secrets has one of this name
├── ConnectError            the other side did not let us in
│   ├── AuthenticationError     wrong or missing credentials; never retried
│   └── UnavailableError        not reachable now; retried
├── SourceError             reading failed
│   ├── StreamReadError         the connector raised an error of its own, which may pass; retried
│   └── RateLimitedError        retried, after `retry_after` seconds if the source said so
├── DestinationError        writing failed; nothing of this load is visible
│   ├── SchemaConflictError     the table cannot take this shape without losing something
│   ├── UnsupportedWriteError   the destination cannot do what this write strategy needs
│   ├── CheckFailedError        a check that is a gate has failed
│   ├── BusyError               another process holds the destination; retried
│   └── ConcurrentSyncError     another run has synced this stream meanwhile; retried, but for a
│       └── SplitOvertakenError     split, whose steps must be planned anew
├── DataError               one value cannot be stored as it is: names stream, field and value
├── BookmarkError           a bookmark would go back, or its values cannot be compared
├── StateError              the stored state and the table beside it disagree
├── ProtocolError           a connector sent a line that the protocol does not allow
├── ConnectorError          a connector's process failed; retried. Each below is one of those above
│   │                       as well, which decides whether it is retried
│   ├── ConnectorNotRegisteredError, ConnectorNotFoundError, ConnectorInstallationError
│   ├── ConnectorConfigMissingError, ConnectorConfigInvalidError, ConnectorCheckFailedError
│   ├── ConnectorMissingSpecError, ConnectorMissingCatalogError
│   ├── ConnectorReadError, ConnectorWriteError, ConnectorFailedError
│   └── StreamNotFoundError (StreamKeyError: of a mapping), StateNotFoundError
└── InternalError           a mistake of this library: report it
```

Every error has a `message` and a `hint`, which says what to do. They name what they are about: the
stream, the field, the nearest valid name. The redactor masks both when the error is made, and
also the error that is being handled at that moment, which becomes its cause.

`docs/errors.md` says for each of them what to do. The names that scripts written for PyAirbyte
catch are aliases, at the end of this module.
"""

from etl_assets.exceptions.base import (
    EtlAssetsError,
    InternalError,
    naming_stream,
)
from etl_assets.exceptions.configuration import (
    ArgumentTypeError,
    ConfigError,
    InputError,
    NameNormalizationError,
    NoStreamsSelectedError,
    SecretNotFoundError,
)
from etl_assets.exceptions.connectors import (
    ConnectorCheckFailedError,
    ConnectorConfigInvalidError,
    ConnectorConfigMissingError,
    ConnectorError,
    ConnectorFailedError,
    ConnectorInstallationError,
    ConnectorMissingCatalogError,
    ConnectorMissingSpecError,
    ConnectorNotFoundError,
    ConnectorNotRegisteredError,
    ConnectorReadError,
    ConnectorWriteError,
    ProtocolError,
    StateNotFoundError,
    StreamKeyError,
    StreamNotFoundError,
    naming_connector,
)
from etl_assets.exceptions.data import (
    BookmarkError,
    DataError,
    StateError,
)
from etl_assets.exceptions.reading import (
    AuthenticationError,
    ConnectError,
    RateLimitedError,
    SourceError,
    StreamReadError,
    UnavailableError,
)
from etl_assets.exceptions.shown import (
    SHOWN_CHARACTERS,
    SHOWN_NAMES,
    did_you_mean,
    shorten,
)
from etl_assets.exceptions.warned import (
    AirbyteExperimentalFeatureWarning,
    DataLossWarning,
    EtlAssetsWarning,
)
from etl_assets.exceptions.writing import (
    BusyError,
    CheckFailedError,
    ConcurrentSyncError,
    DestinationError,
    SchemaConflictError,
    SplitOvertakenError,
    UnsupportedWriteError,
)

# The names that scripts written for PyAirbyte catch.
PyAirbyteError = AirbyteError = EtlAssetsError
PyAirbyteInputError = InputError
PyAirbyteInternalError = InternalError
PyAirbyteNoStreamsSelectedError = NoStreamsSelectedError
PyAirbyteNameNormalizationError = NameNormalizationError
PyAirbyteSecretNotFoundError = SecretNotFoundError
PyAirbyteWarning = EtlAssetsWarning
PyAirbyteDataLossWarning = DataLossWarning
AirbyteConnectorError = ConnectorError
AirbyteConnectorNotRegisteredError = AirbyteConnectorRegistryError = ConnectorNotRegisteredError
AirbyteConnectorNotFoundError = ConnectorNotFoundError
AirbyteConnectorInstallationError = ConnectorInstallationError
AirbyteConnectorConfigurationMissingError = ConnectorConfigMissingError
AirbyteConnectorValidationFailedError = ConnectorConfigInvalidError
AirbyteConnectorCheckFailedError = ConnectorCheckFailedError
AirbyteConnectorMissingSpecError = ConnectorMissingSpecError
AirbyteConnectorMissingCatalogError = ConnectorMissingCatalogError
AirbyteConnectorReadError = ConnectorReadError
AirbyteConnectorWriteError = ConnectorWriteError
AirbyteConnectorFailedError = ConnectorFailedError
AirbyteStreamNotFoundError = StreamNotFoundError
AirbyteStateNotFoundError = StateNotFoundError
AirbyteConnectorDiscoverFailedError = AirbyteSubprocessError = AirbyteSubprocessFailedError = (
    ConnectorError
)
AirbyteConnectorExecutableNotFoundError = ConnectorNotFoundError
AirbyteConnectorNotPyPiPublishedError = ConnectorNotRegisteredError
AirbyteConnectorSpecFailedError = ConnectorMissingSpecError
AirbyteNoDataFromConnectorError = ConnectorReadError
PyAirbyteCacheError = PyAirbyteCacheTableValidationError = DestinationError


__all__ = [
    "SHOWN_CHARACTERS",
    "SHOWN_NAMES",
    "AirbyteConnectorCheckFailedError",
    "AirbyteConnectorConfigurationMissingError",
    "AirbyteConnectorDiscoverFailedError",
    "AirbyteConnectorError",
    "AirbyteConnectorExecutableNotFoundError",
    "AirbyteConnectorFailedError",
    "AirbyteConnectorInstallationError",
    "AirbyteConnectorMissingCatalogError",
    "AirbyteConnectorMissingSpecError",
    "AirbyteConnectorNotFoundError",
    "AirbyteConnectorNotPyPiPublishedError",
    "AirbyteConnectorNotRegisteredError",
    "AirbyteConnectorReadError",
    "AirbyteConnectorRegistryError",
    "AirbyteConnectorSpecFailedError",
    "AirbyteConnectorValidationFailedError",
    "AirbyteConnectorWriteError",
    "AirbyteError",
    "AirbyteExperimentalFeatureWarning",
    "AirbyteNoDataFromConnectorError",
    "AirbyteStateNotFoundError",
    "AirbyteStreamNotFoundError",
    "AirbyteSubprocessError",
    "AirbyteSubprocessFailedError",
    "ArgumentTypeError",
    "AuthenticationError",
    "BookmarkError",
    "BusyError",
    "CheckFailedError",
    "ConcurrentSyncError",
    "ConfigError",
    "ConnectError",
    "ConnectorCheckFailedError",
    "ConnectorConfigInvalidError",
    "ConnectorConfigMissingError",
    "ConnectorError",
    "ConnectorFailedError",
    "ConnectorInstallationError",
    "ConnectorMissingCatalogError",
    "ConnectorMissingSpecError",
    "ConnectorNotFoundError",
    "ConnectorNotRegisteredError",
    "ConnectorReadError",
    "ConnectorWriteError",
    "DataError",
    "DataLossWarning",
    "DestinationError",
    "EtlAssetsError",
    "EtlAssetsWarning",
    "InputError",
    "InternalError",
    "NameNormalizationError",
    "NoStreamsSelectedError",
    "ProtocolError",
    "PyAirbyteCacheError",
    "PyAirbyteCacheTableValidationError",
    "PyAirbyteDataLossWarning",
    "PyAirbyteError",
    "PyAirbyteInputError",
    "PyAirbyteInternalError",
    "PyAirbyteNameNormalizationError",
    "PyAirbyteNoStreamsSelectedError",
    "PyAirbyteSecretNotFoundError",
    "PyAirbyteWarning",
    "RateLimitedError",
    "SchemaConflictError",
    "SecretNotFoundError",
    "SourceError",
    "SplitOvertakenError",
    "StateError",
    "StateNotFoundError",
    "StreamKeyError",
    "StreamNotFoundError",
    "StreamReadError",
    "UnavailableError",
    "UnsupportedWriteError",
    "did_you_mean",
    "naming_connector",
    "naming_stream",
    "shorten",
]

for _name in __all__:
    _public = globals()[_name]
    if isinstance(_public, type):
        # Logs and tracebacks name an error by the module that users import it from.
        _public.__module__ = __name__
