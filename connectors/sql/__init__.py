"""The SQL connector: an agency's PostgreSQL or SQLite database, joined by triggers and a mapping file.

`mapping*` and `convert` say how local columns and contract fields correspond; `assemble` and `plan` are
the two decisions, pure: what a captured edit asserts, and what a delivery changes in a row; `database`
is the port to a server, with one file per dialect; `source` and `sink` join them.

Data flows out: trigger → `jisr_changes` → `assemble` → `Change`. In: `Delivery` → `plan` → one short
transaction of rows, shadow and position. Imports `connectors.sdk`; only `connectors.commands` imports it.
"""
