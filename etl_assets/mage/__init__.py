"""What connectors written for Mage import: thin classes and functions over ours.

Nothing in the rest of the package needs these modules. A connector never imports them by this name:
the rule is that `mage_integrations.X` becomes `etl_assets.X`, so each of Mage's paths
(`etl_assets.connections.postgresql`, `etl_assets.sources.sql.base`, `etl_assets.utils.logger`, ...)
is a module of a few lines that hands on the names from here.

| Modules | What they hold |
| --- | --- |
| `connections`, `databases`, `services` | `connections.*`: how to reach databases and services |
| `sql_source`, `sql_statements` | `sources.sql.*`: SQL sources |
| `sql_destination`, `sql_commands`, `reserved_words` | `destinations.sql.*`: SQL destinations |
| `singer_targets` | `destinations.target`, `.sink`, `.sqlsink`: the Singer SDK's classes |
| `arrays`, `dictionaries`, `columns`, `inference`, `values` | `utils.*`, `transformers.utils` |
"""
