"""What PostgreSQL's catalogue says of an agency's tables, by SQLAlchemy's reflection where it knows."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Text,
    cast,
    func,
    inspect,
    literal_column,
    select,
    text,
    types,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.types import TypeEngine

from connectors.sql.database import Column
from connectors.sql.postgresql_capture import quoted

_dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_KINDS: Sequence[tuple[type[TypeEngine[Any]], str]] = (
    (types.String, "text"),
    (types.Boolean, "boolean"),
    (types.Numeric, "number"),
    (types.Float, "number"),
    (types.Integer, "number"),
    (types.Date, "date"),
    (types.DateTime, "date"),
    (types.Time, "date"),
    (types.ARRAY, "array"),
)
INTEGERS = {"BIGINT": 63, "INTEGER": 31, "SMALLINT": 15}


def columns_of(db: Connection, schema: str, table: str) -> dict[str, Column]:
    """Columns of a table or view; empty if there is none."""
    try:
        found = inspect(db).get_columns(table, schema=schema)
    except NoSuchTableError:
        return {}
    return {described["name"]: _column(db, schema, table, described) for described in found}


def _column(db: Connection, schema: str, table: str, described: Any) -> Column:
    of, identity = _base(described["type"]), described.get("identity")
    name = described["name"]
    return Column(
        name,
        _unknown(db, schema, table, name) if isinstance(of, types.NullType) else _name(of),
        next((kind for type_, kind in _KINDS if isinstance(of, type_)), "other"),
        nullable=described["nullable"],
        has_default=described["default"] is not None
        or identity is not None
        or _domain_fills(described["type"]),
        generated="computed" in described or bool(identity and identity["always"]),
        max_length=of.length if isinstance(of, (types.VARCHAR, types.CHAR)) else None,
    )


def _base(of: TypeEngine[Any]) -> TypeEngine[Any]:
    """A domain's own type: the domain is checked when the value is assigned."""
    while isinstance(of, postgresql.DOMAIN):
        of = types.to_instance(of.data_type)
    return of


def _domain_fills(of: TypeEngine[Any]) -> bool:
    """Whether the column's domain has a default: it fills a column that is not named."""
    while isinstance(of, postgresql.DOMAIN):
        if of.default is not None:
            return True
        of = types.to_instance(of.data_type)
    return False


def _name(of: TypeEngine[Any]) -> str:
    """The type to cast to. Without length or precision: a cast would cut off what an assignment refuses."""
    if isinstance(of, types.ARRAY):
        return _name(of.item_type) + "[]"
    if isinstance(of, types.CHAR):
        # `char` alone is one character.
        return "bpchar"
    if isinstance(of, types.NUMERIC):
        return "NUMERIC"
    if isinstance(of, types.VARCHAR):
        return "TEXT"
    if isinstance(of, postgresql.BIT) and not of.varying:
        return '"bit"'
    return str(of.compile(dialect=_dialect))


def _unknown(db: Connection, schema: str, table: str, column: str) -> str:
    """The name of a type that SQLAlchemy does not know, such as an extension's."""
    null: ColumnElement[Any] = literal_column(f"(NULL::{quoted(schema)}.{quoted(table)}).{quoted(column)}")
    return str(db.scalar(select(cast(func.pg_typeof(null), Text))))


def layout(db: Connection, names: Sequence[str]) -> str:
    """A digest of what the columns of these tables are called and hold."""
    return str(db.scalar(_LAYOUT, {"names": list(names)}))


_LAYOUT = text("""
SELECT md5(string_agg(concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                                a.atthasdef, a.attgenerated, a.attidentity),
                      ',' ORDER BY a.attrelid, a.attnum))
  FROM pg_attribute a
 WHERE a.attrelid IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)
   AND a.attnum > 0 AND NOT a.attisdropped
""")


def is_unique(db: Connection, schema: str, table: str, column: str) -> bool:
    """Whether `column` alone is the primary key, or the key of a whole unique index."""
    inspector = inspect(db)
    try:
        if inspector.get_pk_constraint(table, schema=schema)["constrained_columns"] == [column]:
            return True
        indexes = inspector.get_indexes(table, schema=schema)
    except NoSuchTableError:
        return False
    return any(
        index["unique"]
        and index["column_names"] == [column]
        and not index.get("dialect_options", {}).get("postgresql_where")
        for index in indexes
    )


def is_view(db: Connection, name: str) -> bool:
    """Whether it is a view, materialized or not."""
    return bool(db.scalar(_VIEW, {"name": name}))


_VIEW = text("""
SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(:name) AND relkind IN ('v', 'm'))
""")


def may_put_triggers(db: Connection, name: str) -> bool:
    privilege = func.has_table_privilege(func.to_regclass(name), "TRIGGER", type_=Boolean)
    create = func.has_schema_privilege(func.current_schema(), "CREATE", type_=Boolean)
    return bool(db.scalar(select(func.coalesce(privilege, False) & func.coalesce(create, False))))


def has_column_triggers(db: Connection, name: str) -> bool:
    """Whether the table has triggers `UPDATE OF` some columns."""
    return bool(db.scalar(_COLUMN_TRIGGERS, {"on": name}))


_COLUMN_TRIGGERS = text("""
SELECT EXISTS (
  SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass(:on) AND NOT t.tgisinternal AND t.tgattr::text <> '')
""")


def valid_key(kind: str, text: str) -> bool:
    """Whether `text` can be a key of type `kind`: a cast that fails would end the whole statement."""
    if kind in INTEGERS:
        return bool(re.fullmatch(r"-?\d{1,19}", text)) and abs(int(text)) < 2 ** INTEGERS[kind]
    if kind == "NUMERIC":
        return bool(re.fullmatch(r"-?\d{1,100}(\.\d{1,100})?", text))
    if kind == "UUID":
        try:
            uuid.UUID(text)
        except ValueError:
            return False
    return "\x00" not in text
