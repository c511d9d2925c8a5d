"""What PostgreSQL's catalogue says of an agency's tables."""

from __future__ import annotations

import re
import uuid
from typing import Any

import psycopg

from connectors.sql.database import Column

_COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), t.typcategory::text, a.attnotnull,
       a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a',
       format_type(a.atttypid, NULL),
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
_UNIQUE = """
SELECT EXISTS (
  SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
   WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL
     AND a.attname = %s)
"""
_PRIVILEGE = """
SELECT coalesce(has_table_privilege(to_regclass(%s), 'TRIGGER'), false)
   AND coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
"""
# pg_type.typcategory → kind
_KINDS = {"S": "text", "N": "number", "B": "boolean", "A": "array", "E": "text"}
_INTEGERS = {"bigint": 63, "integer": 31, "smallint": 15}


def columns_of(db: psycopg.Connection[Any], name: str) -> dict[str, Column]:
    """Columns of a table by its quoted name; empty if there is none."""
    found = {}
    for column, _, category, not_null, default, generated, kind, length in db.execute(_COLUMNS, (name,)):
        of = "date" if category == "D" else _KINDS.get(category, "other")
        found[column] = Column(column, kind, of, not not_null, default, generated, length)
    return found


def is_unique(db: psycopg.Connection[Any], name: str, column: str) -> bool:
    row = db.execute(_UNIQUE, (name, column)).fetchone()
    return bool(row and row[0])


def may_put_triggers(db: psycopg.Connection[Any], name: str) -> bool:
    row = db.execute(_PRIVILEGE, (name,)).fetchone()
    return bool(row and row[0])


def valid_key(kind: str, text: str) -> bool:
    """Whether `text` can be a key of type `kind`: a cast that fails would end the whole statement."""
    if kind in _INTEGERS:
        return bool(re.fullmatch(r"-?\d{1,19}", text)) and abs(int(text)) < 2 ** _INTEGERS[kind]
    if kind == "numeric":
        return bool(re.fullmatch(r"-?\d{1,100}(\.\d{1,100})?", text))
    if kind == "uuid":
        try:
            uuid.UUID(text)
        except ValueError:
            return False
    return "\x00" not in text
