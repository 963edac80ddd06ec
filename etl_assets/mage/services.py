"""The services among Mage's connections; each client is imported when it is needed."""

import gzip
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dateutil.parser import parse as parse_date
from typing_extensions import override

from etl_assets.exceptions import StreamReadError
from etl_assets.mage.connections import Connection, ServiceConnection, SqlConnection, driver
from etl_assets.mage.dictionaries import flatten
from etl_assets.mage.values import date_intervals

RETRIES = 5
"""How often a call to Google is tried again, with growing pauses, while Google is busy."""


class Airtable(SqlConnection):
    """Airtable, by pyairtable.

    Args:
        token: The personal access token.
        base_id: The base.
    """

    def __init__(self, token: str, base_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.token = token
        self.base_id = base_id
        self.api = driver("pyairtable", install="pyairtable").Api(token)

    @override
    def build_connection(self) -> Any:
        return self.api.base(self.base_id)


class GoogleSheets(ServiceConnection):
    """Google's spreadsheets, read only."""

    scopes = ("https://www.googleapis.com/auth/spreadsheets.readonly",)

    def __init__(
        self,
        credentials_info: Any = None,
        path_to_credentials_json_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(credentials_info, path_to_credentials_json_file, **kwargs)
        self.require_credentials()

    def connect(self) -> Any:
        """Return the client of the service."""
        build = driver("googleapiclient.discovery", install="google-api-python-client").build
        return build("sheets", "v4", credentials=self.credentials())

    def load(
        self,
        spreadsheet_id: str,
        value_range: str | None = None,
        opts: Mapping[str, Any] | None = None,
    ) -> list[list[Any]]:
        """Return the cells of a range, row by row.

        Args:
            spreadsheet_id: The spreadsheet.
            value_range: The range, such as `'Sheet1'!A2:C10`.
            opts: Other arguments of the call.
        """
        options: dict[str, Any] = {"spreadsheetId": spreadsheet_id}
        if value_range:
            options["range"] = value_range
        options.update(opts or {})
        found = self.connect().spreadsheets().values().get(**options).execute(num_retries=RETRIES)
        cells: list[list[Any]] = found.get("values", [])
        return cells

    def get_spreadsheet_metadata(
        self, spreadsheet_id: str, sheet_title: str | None = None
    ) -> dict[str, Any]:
        """Return what the service says of a spreadsheet.

        If a sheet is named, its first two rows are included.
        """
        words: dict[str, Any] = {"spreadsheetId": spreadsheet_id}
        if sheet_title is not None:
            words |= {"includeGridData": True, "ranges": f"'{sheet_title}'!1:2"}
        found: dict[str, Any] = (
            self.connect().spreadsheets().get(**words).execute(num_retries=RETRIES)
        )
        return found


class GoogleSearchConsole(ServiceConnection):
    """Google's Search Console.

    Args:
        credentials_info: The service account's JSON, or credentials.
        email: The user for whom it acts.
        path_to_credentials_json_file: Or the file that holds the account's JSON.
    """

    scopes = ("https://www.googleapis.com/auth/webmasters",)

    def __init__(
        self,
        credentials_info: Any = None,
        email: str | None = None,
        path_to_credentials_json_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(credentials_info, path_to_credentials_json_file, **kwargs)
        self.email = email
        self.require_credentials()

    def connect(self) -> Any:
        """Return the client of the service."""
        credentials = self.credentials()
        if self.email:
            credentials = credentials.with_subject(self.email)
        build = driver("googleapiclient.discovery", install="google-api-python-client").build
        return build("webmasters", "v3", credentials=credentials)

    def load(self, site_url: str, payload: Mapping[str, Any]) -> list[Any] | None:
        """Return the rows of a query about a site; None where there are none."""
        query = self.connect().searchanalytics().query(siteUrl=site_url, body=payload)
        found = query.execute(num_retries=RETRIES)
        return None if found is None else found.get("rows")


class GoogleAnalytics(ServiceConnection):
    """Google Analytics 4.

    Args:
        property_id: The property.
        credentials_info: The service account's JSON, or credentials.
        path_to_credentials_json_file: Or the file that holds it.
    """

    def __init__(
        self,
        property_id: int,
        credentials_info: Any = None,
        path_to_credentials_json_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(credentials_info, path_to_credentials_json_file, **kwargs)
        self.property_id = property_id
        self.require_credentials()

    def connect(self) -> Any:
        """Return the client of the service."""
        module = driver("google.analytics.data_v1beta", install="google-analytics-data")
        return module.BetaAnalyticsDataClient(credentials=self.credentials())

    def get_metadata(self) -> dict[str, Any]:
        """Return the dimensions and metrics that the property has."""
        found = self.connect().get_metadata(name=f"properties/{self.property_id}/metadata")
        return {"dimensions": found.dimensions, "metrics": found.metrics}

    def load(
        self,
        start_date: str,
        end_date: str = "today",
        dimensions: Sequence[str] | None = None,
        limit: int | None = None,
        metrics: Sequence[str] | None = None,
        offset: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return a report's rows.

        Args:
            start_date: The first day, `2026-01-31` or such as `7daysAgo`.
            end_date: The last one.
            dimensions: What the rows are by.
            limit: At most so many rows.
            metrics: What they count.
            offset: So many rows are left out before them.
        """
        types = driver("google.analytics.data_v1beta.types", install="google-analytics-data")
        request = types.RunReportRequest(
            date_ranges=[types.DateRange(start_date=start_date, end_date=end_date)],
            dimensions=[types.Dimension(name=name) for name in dimensions or ()],
            limit=limit,
            metrics=[types.Metric(name=name) for name in metrics or ()],
            offset=offset,
            property=f"properties/{self.property_id}",
        )
        return parse_response(request, self.connect().run_report(request))


def parse_response(request: Any, response: Any) -> list[dict[str, Any]]:
    """Return the rows of a report, by the names of its dimensions and metrics."""
    names = [field.name for field in (*request.dimensions, *request.metrics)]
    rows = ((*row.dimension_values, *row.metric_values) for row in response.rows)
    return [{name: cell.value for name, cell in zip(names, row, strict=False)} for row in rows]


class GoogleCloudStorage(ServiceConnection, SqlConnection):
    """Google Cloud Storage.

    Args:
        credentials_info: The service account's JSON, or credentials.
        path_to_credentials_json_file: Or the file that holds it.
        project_id: The project.
    """

    def __init__(
        self,
        credentials_info: Any = None,
        path_to_credentials_json_file: str | None = None,
        project_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(credentials_info, path_to_credentials_json_file, **kwargs)
        self.project_id = project_id
        self.credentials_info = self.credentials()
        storage = driver("google.cloud.storage", install="google-cloud-storage")
        self.client = storage.Client(credentials=self.credentials_info, project=project_id)

    @override
    def build_connection(self) -> Any:
        return self.client


AMPLITUDE = "https://amplitude.com"
AMPLITUDE_DAYS = timedelta(days=14)
"""Asked for at once: the service refuses too many calls, and too long answers."""
AMPLITUDE_SECONDS = 600
NOTHING_THERE = 404
_HOUR = "%Y%m%dT%H"


class Amplitude(Connection):
    """Amplitude's export of raw events.

    Args:
        api_key: The project's key.
        secret_key: And its secret.
        host: The service; that of the European Union has another.
    """

    def __init__(
        self, api_key: str, secret_key: str, host: str | None = AMPLITUDE, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.api_key = api_key
        self.secret_key = secret_key
        self.host = host or AMPLITUDE

    def load(
        self,
        start_date: Any,
        end_date: Any = None,
        offset: int | None = None,
        sample: bool = False,  # noqa: FBT001, FBT002 - Mage's signature
    ) -> list[dict[str, Any]]:
        """Return the events of a span of time, each flat.

        Args:
            start_date: The first hour; a year ago by default.
            end_date: The last one; today's by default.
            offset: So many hours after the first one, and that hour alone.
            sample: One hour is enough.

        Raises:
            StreamReadError: The service did not answer, or answered with what is no event.
        """
        start, end = build_date_range(
            end_date=end_date, offset=offset, sample=sample, start_date=start_date
        )
        if start is None:
            return []
        return [
            event
            for first, last in date_intervals(start, end, AMPLITUDE_DAYS)
            for event in self._events(first, last)
        ]

    def _events(self, first: datetime, last: datetime) -> Iterator[dict[str, Any]]:
        answer = driver("requests", install="requests").get(
            f"{self.host}/api/2/export",
            params={"start": first.strftime(_HOUR), "end": last.strftime(_HOUR)},
            auth=(self.api_key, self.secret_key),
            timeout=AMPLITUDE_SECONDS,
        )
        if answer.status_code == NOTHING_THERE:
            return
        if not answer.ok:
            raise StreamReadError(
                f"Amplitude answered with the status {answer.status_code}: {answer.reason}."
            )
        for line in _lines_of_zip(io.BytesIO(answer.content)):
            try:
                yield flatten(json.loads(line))
            except ValueError as error:
                raise StreamReadError("Amplitude sent a line that is no JSON object.") from error


def _lines_of_zip(file: Any) -> Iterator[str]:
    """Yield the lines of gzipped files in an archive, or in archives in it."""
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if content.startswith(b"\x1f\x8b"):
                yield from filter(None, gzip.decompress(content).decode().split("\n"))
            elif zipfile.is_zipfile(io.BytesIO(content)):
                yield from _lines_of_zip(io.BytesIO(content))


def build_date_range(
    end_date: Any = None,
    offset: int | None = None,
    sample: bool = False,  # noqa: FBT001, FBT002 - Mage's signature
    start_date: Any = None,
) -> tuple[Any, Any]:
    """Return the first and the last hour to ask for.

    Both are None if the last would be before the first.
    """
    today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ005 - hours of the project
    first = parse_date(start_date) if isinstance(start_date, str) else start_date
    last = parse_date(end_date) if isinstance(end_date, str) else end_date
    if first is None:
        days_back = 2 if sample else 365
        first = today - timedelta(days=days_back)
    elif offset is not None:
        first += timedelta(hours=offset)
    if sample:
        return first, first + timedelta(hours=1)
    if last is None:
        return first, today + timedelta(hours=23)
    if first > last:
        return None, None
    if offset is not None:
        return first, first
    return first, last
