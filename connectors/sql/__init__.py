"""The SQL connector: an agency's PostgreSQL or SQLite database, joined by triggers and a mapping file.

`mapping*` and `convert` say how local columns and contract fields correspond; `assemble`, `decide` and
`plan` are the decisions, pure: what a captured edit asserts, what becomes of a delivery, which columns it
changes; `database` is the port to a server, with the files of each dialect beside it, `store` and `tables`
the bookkeeping; `source` and `sink` join them. `row_print`, `sweep*` look for what was changed behind the
triggers, `restored` for a database that was set back.

Data flows out: trigger → `jisr_changes` → `assemble` → `Change`. In: `Delivery` → `chunk` (`decide`,
`plan`, `writing`) → one short transaction of rows and shadow → position → receipt. Imports
`connectors.sdk`; only `connectors.compose` and `connectors.commands` import it.
"""
