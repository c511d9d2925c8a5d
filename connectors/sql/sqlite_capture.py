"""Capture in SQLite: triggers that note a row's change in the writer's own transaction (R22, R23).

The triggers run inside the agency's own program, with whatever SQLite it carries: they use only what every
SQLite 3 has (no JSON functions, no upsert). Columns travel as SQL literals made by `quote`. A conflict
clause inside a trigger would be overridden by the writer's own INSERT OR REPLACE, so there is none.
"""

# Identifiers are quoted and texts escaped by the functions in `sqlite_capture`; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from sqlalchemy.dialects import sqlite

from connectors.sql.database import object_name
from connectors.sql.mapping import RecordMap, TableMap
from connectors.sql.rows import Columns

NOW_MS = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
_PAIR = re.compile(r"'((?:[^']|'')*)'=(NULL|T?[xX]'[0-9a-fA-F]*'|'(?:[^']|'')*'|[^,']*)(?:,|\Z)")


_preparer = sqlite.dialect().identifier_preparer


def quoted(identifier: str) -> str:
    return _preparer.quote_identifier(identifier)


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def image(row: str, columns: Sequence[str]) -> str:
    """`'column'=literal,…` of a row, as text."""
    pairs = (f"{literal(literal(column) + '=')} || {shown(row, column)}" for column in columns)
    return " || ',' || ".join(pairs) or "''"


def shown(row: str, column: str) -> str:
    """A column of a row as a literal. `quote` ends a text at its first NUL, as `substr` does: such a text
    goes as its bytes, after a T.

    Joined to nothing, as a column's own collation has no part in the comparison: it may be unknown here.
    """
    value = f"{row}.{quoted(column)}"
    return (
        f"CASE WHEN typeof({value}) = 'text' AND {value} || '' IS NOT substr({value}, 1) "
        f"THEN 'T' || quote(CAST({value} AS BLOB)) ELSE quote({value}) END"
    )


def parse_image(text: str | None) -> Columns | None:
    """The columns of an image that a trigger wrote, or of JSON that the connector wrote itself."""
    if text is None:
        return None
    if text.startswith("{"):
        return dict(json.loads(text))
    return {m.group(1).replace("''", "'"): _value(m.group(2)) for m in _PAIR.finditer(text)}


def _value(word: str) -> str | int | float | bytes | None:
    if word == "NULL":
        return None
    if word.startswith("'"):
        return word[1:-1].replace("''", "'")
    if word[:1] in "xX":
        return bytes.fromhex(word[2:-1])
    if word[:1] == "T":
        return bytes.fromhex(word[3:-1]).decode("utf-8", "replace")
    try:
        return int(word)
    except ValueError:
        return float(word)


def trigger_names(record: RecordMap, table: TableMap) -> dict[str, str]:
    """Trigger name by event."""
    name = object_name(record.record_type, table.table, str(table.part))
    return {"INSERT": f"{name}_i", "UPDATE": f"{name}_u", "DELETE": f"{name}_d"}


def capture_statements(record: RecordMap, table: TableMap) -> dict[str, str]:
    """CREATE TRIGGER statements by trigger name."""
    names = trigger_names(record, table)
    write = _Statements(record.record_type, table)
    bodies = {
        "INSERT": write.appears(f"({write.is_ours('NEW')})"),
        "DELETE": write.vanishes(f"({write.is_ours('OLD')})"),
        "UPDATE": write.changes(),
    }
    return {
        name: f"CREATE TRIGGER {quoted(name)} AFTER {event} ON {quoted(table.table)} FOR EACH ROW "
        f"WHEN (SELECT hub FROM jisr_origin) = 0 BEGIN {' '.join(bodies[event])} END"
        for event, name in names.items()
    }


class _Statements:
    """The statements of a table's triggers. A condition decides, since a trigger has no branches."""

    def __init__(self, record_type: str, table: TableMap) -> None:
        self.record = literal(record_type)
        self.table = table

    def key(self, row: str) -> str:
        return f"CAST({row}.{quoted(self.table.key)} AS TEXT)"

    def is_ours(self, row: str) -> str:
        tests = [f"{row}.{quoted(self.table.key)} IS NOT NULL"]
        tests += [f"CAST({row}.{quoted(c)} AS TEXT) = {literal(v)}" for c, v in self.table.fixed.items()]
        return " AND ".join(tests)

    def changes(self) -> list[str]:
        """An update; a changed key, or a row that enters or leaves the record type, is two events (R14)."""
        old, new = self.is_ours("OLD"), self.is_ours("NEW")
        same = f"{self.key('OLD')} IS {self.key('NEW')}"
        differs = " OR ".join(
            # As literals: 1 and '1' or 1.0 are equal to SQLite, and not the same value.
            f"{shown('OLD', c)} IS NOT {shown('NEW', c)}"
            for c in self.table.columns
        )
        both = f"({old}) AND ({new}) AND {same}"
        return [
            self.note("NEW", "U", f"{both} AND ({differs or '0'})", "OLD", "NEW"),
            *self.vanishes(f"({old}) AND NOT (({new}) AND {same})"),
            *self.appears(f"({new}) AND NOT (({old}) AND {same})"),
        ]

    def appears(self, when: str) -> list[str]:
        noted = self.note("NEW", "I", when, None, "NEW")
        if self.table.part:
            return [noted]
        return [_NEW_LIFE.format(record=self.record, key=self.key("NEW"), when=when), noted]

    def vanishes(self, when: str) -> list[str]:
        noted = self.note("OLD", "D", when, "OLD", None)
        if self.table.part:
            return [noted]
        return [noted, _END_OF_LIFE.format(record=self.record, key=self.key("OLD"), when=when)]

    def note(self, row: str, op: str, when: str, old: str | None, new: str | None) -> str:
        """A queue row; beyond the cap, a mark that the row is dirty."""
        key, columns = self.key(row), self.table.columns
        # A part that vanishes with its record belongs to the life that just ended.
        part_life = "CASE WHEN deleted = 1 THEN incarnation - 1 ELSE incarnation END"
        shadow = f"FROM jisr_shadow WHERE record = {self.record} AND local_id = {key}"
        life = f"coalesce((SELECT {part_life if self.table.part else 'incarnation'} {shadow}), 0)"
        return _NOTE.format(
            record=self.record,
            part=self.table.part,
            key=key,
            op=op,
            life=life,
            known=f"coalesce((SELECT known {shadow}), 0)",
            now=NOW_MS,
            old=image(old, columns) if old else "NULL",
            new=image(new, columns) if new else "NULL",
            # The row tells who wrote it, not who deletes it.
            actor=f"CAST(NEW.{quoted(self.table.actor)} AS TEXT)" if new and self.table.actor else "NULL",
            when=when,
            full=_FULL,
            mark=f"record = {self.record} AND local_id = {key} AND incarnation = {life}",
        )


_FULL = """(
  SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jisr_changes'), 0) - read_seq > cap
    FROM jisr_state)"""
_NOTE = """
  UPDATE jisr_dirty SET times = times + 1 WHERE {mark} AND ({when}) AND {full};
  INSERT INTO jisr_dirty (record, local_id, incarnation, times)
    SELECT {record}, {key}, {life}, 1
     WHERE ({when}) AND {full} AND NOT EXISTS (SELECT 1 FROM jisr_dirty WHERE {mark});
  INSERT INTO jisr_changes (txid, record, part, local_id, op, incarnation, known, clock_ms, old, new, actor)
    SELECT 0, {record}, {part}, {key}, '{op}', {life}, {known}, {now}, {old}, {new}, {actor}
     WHERE ({when}) AND NOT {full};
"""
_NEW_LIFE = """
  UPDATE jisr_shadow SET deleted = 0, entity = NULL, created_by_hub = 0, born = 0,
      delivered = '{{}}', own = '{{}}', replaced = '{{}}', kept = '{{}}'
   WHERE record = {record} AND local_id = {key} AND deleted = 1 AND ({when});
"""
_END_OF_LIFE = """
  UPDATE jisr_shadow SET incarnation = incarnation + 1, deleted = 1, created_by_hub = 0
   WHERE record = {record} AND local_id = {key} AND ({when});
  INSERT INTO jisr_shadow (record, local_id, incarnation, deleted, created_by_hub, known, last, born,
      delivered, own, replaced, kept)
    SELECT {record}, {key}, 1, 1, 0, 0, 0, 0, '{{}}', '{{}}', '{{}}', '{{}}'
     WHERE ({when}) AND NOT EXISTS (
       SELECT 1 FROM jisr_shadow WHERE record = {record} AND local_id = {key});
"""
