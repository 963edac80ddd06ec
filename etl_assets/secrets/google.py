"""Secrets of Google Secret Manager.

The package `google-cloud-secret-manager` (the extra `google`) is imported when one is looked up.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from typing_extensions import override

from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    InputError,
    SecretNotFoundError,
    UnavailableError,
)
from etl_assets.packages import require
from etl_assets.secrets.custom import CustomSecretManager
from etl_assets.secrets.handle import SecretHandle
from etl_assets.secrets.managers import SecretSourceEnum
from etl_assets.secrets.string import SecretString

CREDENTIALS = "GCP_GSM_CREDENTIALS"
"""The environment variable with the JSON key of a service account, if no other is given."""


class GSMSecretHandle(SecretHandle):
    """A secret of Google Secret Manager, with its labels.

    Args:
        parent: The manager.
        secret_name: The secret's short name.
        labels: Its labels, if they are known.
    """

    def __init__(
        self,
        parent: "GoogleGSMSecretManager",
        secret_name: str,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(parent, secret_name)
        self._manager = parent
        self._labels = None if labels is None else dict(labels)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, which are looked up once."""
        if self._labels is None:
            self._labels = self._manager.labels_of(self.secret_name)
        return self._labels


class GoogleGSMSecretManager(CustomSecretManager):
    """The secrets of one Google Cloud project.

    Args:
        project: The project's id.
        credentials_path: The file with the JSON key of a service account.
        credentials_json: Or that JSON itself. Without either, the environment variable
            `GCP_GSM_CREDENTIALS`, and without that what the machine is logged in as.
        auto_register: Have `get_secret` ask it without `register()`.
        as_backup: Be asked last.

    Raises:
        InputError: The project is empty, or credentials are given twice.
    """

    name = SecretSourceEnum.GOOGLE_GSM.value
    auto_register: ClassVar[bool] = False
    CONNECTOR_LABEL: ClassVar[str] = "connector"

    def __init__(
        self,
        project: str,
        *,
        credentials_path: str | None = None,
        credentials_json: str | SecretString | None = None,
        auto_register: bool = False,
        as_backup: bool = False,
    ) -> None:
        if not project:
            raise InputError("A project is needed.", input_value=project)
        if credentials_path and credentials_json:
            raise InputError("Give credentials_path or credentials_json, not both.")
        self.project = project
        self._credentials_path = credentials_path
        self._credentials_json: SecretString | None = None
        if credentials_json is not None:
            self._credentials_json = SecretString(credentials_json)
        self._made: Any = None
        super().__init__()
        if auto_register:
            from etl_assets.secrets.registry import register_secret_manager

            register_secret_manager(self, as_backup=as_backup)

    @override
    def get_secret(self, secret_name: str) -> SecretString | None:
        """Return the newest version of a secret, by its short or its full name, or None.

        Raises:
            ConnectError: Google refuses access, or cannot be reached.
        """
        full = self._full_name(secret_name)
        version = full if "/versions/" in full else f"{full}/versions/latest"
        found = self._call("access_secret_version", name=version)
        if found is None:
            return None
        return SecretString(found.payload.data.decode("utf-8"))

    def get_secret_handle(self, secret_name: str) -> GSMSecretHandle:
        """Return the handle of a secret; it is looked up when its value is asked for."""
        return GSMSecretHandle(self, secret_name)

    def fetch_secrets(self, *, filter_string: str) -> Iterator[GSMSecretHandle]:
        """Yield handles of all secrets that a filter selects, such as `labels.team=data`."""
        request = {"parent": f"projects/{self.project}", "filter": filter_string}
        for found in self._call("list_secrets", request=request) or ():
            yield GSMSecretHandle(self, found.name.rpartition("/")[2], dict(found.labels))

    def fetch_secrets_by_label(self, label_key: str, label_value: str) -> Iterator[GSMSecretHandle]:
        """Return handles of all secrets with a label."""
        return self.fetch_secrets(filter_string=f"labels.{label_key}={label_value}")

    def fetch_connector_secrets(self, connector_name: str) -> Iterator[GSMSecretHandle]:
        """Return handles of all secrets whose label `connector` is a connector's name."""
        return self.fetch_secrets_by_label(self.CONNECTOR_LABEL, connector_name)

    def fetch_connector_secret(self, connector_name: str) -> GSMSecretHandle:
        """Return the first of a connector's secrets.

        Raises:
            SecretNotFoundError: There is none.
        """
        found = next(self.fetch_connector_secrets(connector_name), None)
        if found is None:
            raise SecretNotFoundError(
                f"The project {self.project!r} has no secret with the label "
                f"{self.CONNECTOR_LABEL}={connector_name}.",
                input_value=connector_name,
            )
        return found

    def labels_of(self, secret_name: str) -> dict[str, str]:
        """Return the labels of a secret, or {} if there is no such secret."""
        found = self._call(
            "get_secret", name=self._full_name(secret_name).partition("/versions/")[0]
        )
        return {} if found is None else dict(found.labels)

    def _full_name(self, secret_name: str) -> str:
        if "/" in secret_name:
            return secret_name
        return f"projects/{self.project}/secrets/{secret_name}"

    def _call(self, method: str, **arguments: Any) -> Any:
        client = self._client()
        from google.api_core import exceptions as google

        try:
            return getattr(client, method)(**arguments)
        except google.NotFound:
            return None
        except (google.PermissionDenied, google.Unauthenticated) as error:
            raise AuthenticationError(
                f"Google Secret Manager refuses the project {self.project!r}: "
                f"{type(error).__name__}.",
                hint="The account needs the role Secret Manager Secret Accessor (and Viewer, to "
                "list).",
            ) from error
        except google.GoogleAPICallError as error:
            raise UnavailableError(f"Google Secret Manager: {type(error).__name__}.") from error

    def _client(self) -> Any:
        if self._made is None:
            secretmanager = require("google.cloud.secretmanager", "Google Secret Manager")
            self._made = secretmanager.SecretManagerServiceClient(credentials=self._credentials())
        return self._made

    def _credentials(self) -> Any:
        from google.oauth2 import service_account

        # The package has no types.
        account: Any = service_account.Credentials
        if self._credentials_path:
            return account.from_service_account_file(self._credentials_path)
        text = self._credentials_json
        if text is None and os.environ.get(CREDENTIALS):
            text = SecretString(os.environ[CREDENTIALS])
        if text is None:
            return None  # the client looks for the credentials of the machine
        try:
            return account.from_service_account_info(json.loads(text))
        except (ValueError, KeyError) as error:
            raise ConfigError(
                f"The credentials are no JSON key of a service account: {type(error).__name__}."
            ) from None
