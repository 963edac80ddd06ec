"""Recorded answers: a REST source is tested against what its API has once answered.

```python
with recorded("tests/answers/crm.json"):
    rows = ...
```

A file that is not there yet is made of what the API answers now: delete it to record it anew.
Secrets are masked in it. Look at it before it is committed all the same: rows may be confidential.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx  # noqa: TID253 - only tests import this module
from typing_extensions import override

from etl_assets.exceptions import SourceError
from etl_assets.redaction import redact
from etl_assets.sources.rest.transport import in_place_of_the_network

_OF_THE_CONNECTION = {
    *("connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"),
    *("set-cookie", "server", "via"),
}
"""Header fields that are not recorded."""


@dataclass
class Recording:
    """What was asked, and what was answered.

    Attributes:
        asked: The method and the URL of each request, its secrets masked.
    """

    exchanges: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def recorded(path: Path | str) -> Iterator[Recording]:
    """Have all REST sources answered from a file; record it first if there is none.

    Requests that are alike are given the answers in the order in which they were recorded, and the
    last one from then on.

    Args:
        path: The file.

    Raises:
        SourceError: A request was not recorded.
    """
    file = Path(path)
    if file.exists():
        recording = Recording(json.loads(file.read_text(encoding="utf-8")))
        with in_place_of_the_network(_Replay(recording)):
            yield recording
        return
    recording = Recording()
    recorder = _Recorder(recording)
    with in_place_of_the_network(recorder):
        yield recording
    recorder.network.close()
    file.parent.mkdir(parents=True, exist_ok=True)
    # Masked only now: an answer may hold a token that was a secret from then on.
    told = [_masked(one) for one in recording.exchanges]
    file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


class _Recorder(httpx.BaseTransport):
    """Asks the network, and takes note of what it answers."""

    def __init__(self, recording: Recording) -> None:
        self.network = httpx.HTTPTransport()
        self._recording = recording

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.network.handle_request(request)
        response.request = request
        content = response.read()
        kept = {
            name: text
            for name, text in response.headers.items()
            if name.lower() not in _OF_THE_CONNECTION
        }
        told = _told(request)
        exchange: dict[str, Any] = {
            "request": told,
            "status": response.status_code,
            "headers": kept,
        }
        try:
            exchange["body"] = content.decode()
        except UnicodeDecodeError:
            exchange["base64"] = base64.b64encode(content).decode()
        self._recording.exchanges.append(exchange)
        self._recording.asked.append(told["url"])
        response.close()
        return httpx.Response(response.status_code, headers=kept, content=content)

    @override
    def close(self) -> None:
        """Stay open: each read closes its client, and there may be others."""


class _Replay(httpx.BaseTransport):
    """Answers as it was recorded."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._left: dict[str, list[dict[str, Any]]] = {}
        for one in recording.exchanges:
            self._left.setdefault(_key(one["request"]), []).append(one)

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        told = _masked_request(_told(request))
        self._recording.asked.append(told["url"])
        left = self._left.get(_key(told))
        if not left:
            raise SourceError(
                f"{told['method']} {told['url']} was not recorded.",
                hint="Delete the file to record all answers anew.",
            )
        found = left.pop(0) if len(left) > 1 else left[0]
        body = found.get("body")
        content = base64.b64decode(found["base64"]) if body is None else body.encode()
        return httpx.Response(found["status"], headers=found["headers"], content=content)


def _told(request: httpx.Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": str(request.url),
        "body": request.read().decode("utf-8", "replace"),
    }


def _key(told: dict[str, Any]) -> str:
    return json.dumps([told["method"], told["url"], told["body"]])


def _masked_request(told: dict[str, Any]) -> dict[str, Any]:
    return {name: redact(text) for name, text in told.items()}


def _masked(exchange: dict[str, Any]) -> dict[str, Any]:
    masked = {**exchange, "request": _masked_request(exchange["request"])}
    masked["headers"] = {name: redact(text) for name, text in exchange["headers"].items()}
    if "body" in exchange:
        masked["body"] = redact(exchange["body"])
    return masked
