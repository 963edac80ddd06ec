"""The engine: the only place where data moves from a source to a destination.

`start` decides where a sync begins and how its rows meet the table; `sync` and `sync_source` are
the verbs. The `loop` takes the events of a read, a `line` follows each stream, and `publishing`
says what is committed when. Both ends are known by their structure alone (`model/load.py`,
`model/events.py`), and nothing of an orchestrator is.
"""
