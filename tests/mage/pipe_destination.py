"""A destination in Mage's style that appends to a file, for the pipes."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from etl_assets.destinations.base import Destination


class Appender(Destination):
    def test_connection(self) -> None:
        self.file = open(self.config["file"], "a", encoding="utf-8")  # noqa: PTH123, SIM115

    def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
        for item in record_data:
            self.file.write(json.dumps({"stream": stream, **item["record"]}) + "\n")
        self.file.flush()

    def after_process(self) -> None:
        self.file.close()


if __name__ == "__main__":
    Appender(argument_parser=ArgumentParser(), batch_processing=True).process(sys.stdin.buffer)
