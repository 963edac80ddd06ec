"""The streams are small: the steps of a run share its process, and none waits for the file."""

import dagster as dg


@dg.definitions
def executor() -> dg.Definitions:
    return dg.Definitions(executor=dg.in_process_executor)
