"""Capture in PostgreSQL: triggers that note a row's change in the writer's own transaction (R22, R23).

The trigger functions run with the rights of the connector's role, so that every role of the agency that
may write the table is captured; they fix their search path and date style, since both belong to the
writer. An error in capture becomes a warning and a dirty row: it never fails the agency's own write.
"""

# Identifiers are quoted and texts escaped by the functions in `postgresql_capture`; values are parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.dialects import postgresql

from connectors.sql.database import object_name
from connectors.sql.mapping import RecordMap, TableMap

# A function call takes 100 arguments at most: this many pairs of name and value per object.
_PAIRS = 45


# The text made here is sent as it is: percent signs are not doubled for the driver.
_preparer = postgresql.dialect(paramstyle="named").identifier_preparer  # type: ignore[no-untyped-call]


def quoted(identifier: str) -> str:
    return _preparer.quote_identifier(identifier)


def literal(text: str) -> str:
    """A text literal that means the same under any setting of standard_conforming_strings."""
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def placed(table: str, schema: str) -> tuple[str, str]:
    """(schema, name) of a mapped table; `other.table` names a table in another schema."""
    head, dot, tail = table.partition(".")
    return (head, tail) if dot else (schema, table)


def qualified(table: str, schema: str) -> str:
    return ".".join(map(quoted, placed(table, schema)))


def image(row: str, columns: Sequence[str]) -> str:
    """A jsonb of `columns` of `row`: dates in ISO, numbers in full."""
    chunks = [columns[i : i + _PAIRS] for i in range(0, len(columns), _PAIRS)] or [()]
    objects = (
        "jsonb_build_object(" + ", ".join(f"{literal(c)}, {row}.{quoted(c)}" for c in chunk) + ")"
        for chunk in chunks
    )
    return " || ".join(objects)


# The digest of the installed triggers of one table, if both are there and enabled.
INSTALLED = """
SELECT obj_description(p.oid, 'pg_proc')
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.proname = :function AND n.nspname = :schema AND 2 = (
   SELECT count(*) FROM pg_trigger t
    WHERE t.tgfoid = p.oid AND t.tgrelid = to_regclass(:on) AND t.tgenabled IN ('O', 'A'))
"""


def mark(schema: str, name: str, digest: str) -> str:
    """A statement that notes which triggers are installed."""
    return f"COMMENT ON FUNCTION {quoted(schema)}.{quoted(name)}() IS {literal(digest)}"


# The numbers of a table's columns, which stay when a column gets another name.
NUMBERS = """
SELECT attname::text, attnum FROM pg_attribute
 WHERE attrelid = to_regclass(:on) AND attnum > 0 AND NOT attisdropped
"""


def capture_statements(
    record: RecordMap, table: TableMap, schema: str, numbers: Mapping[str, int]
) -> list[str]:
    """Statements that put the triggers on a table, or renew them. `numbers`: what `NUMBERS` says."""
    name = object_name(record.record_type, table.table, str(table.part))
    function = f"{quoted(schema)}.{quoted(name)}"
    on = qualified(table.table, schema)
    body = _BODY if table.part == 0 else _PART_BODY
    truncate = _TRUNCATE.format(
        jisr=f"{quoted(schema)}.jisr_", record=literal(record.record_type), part=table.part
    )
    filled = body.format(
        jisr=f"{quoted(schema)}.jisr_",
        record=literal(record.record_type),
        part=table.part,
        sequence=literal(f"{quoted(schema)}.jisr_changes_seq_seq"),
        key=quoted(table.key),
        old=image("OLD", table.columns),
        new=image("NEW", table.columns),
        old_in=_fixed("OLD", table),
        new_in=_fixed("NEW", table),
        old_by_number=_found("OLD", table, numbers),
        new_by_number=_found("NEW", table, numbers),
        key_name=literal(table.key),
        extra=_texts([name for name in _needed(table) if name not in table.columns]),
        old_found_in=_found_fixed("old_found", table),
        new_found_in=_found_fixed("new_found", table),
        # By its name as a text: a column that is gone must not fail the whole capture.
        written_by=f"to_jsonb(NEW) ->> {literal(table.actor)}" if table.actor else "NULL",
    )
    return [
        _FUNCTION.format(function=function, body=_dollar(truncate + filled)),
        f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC",
        _ROW_TRIGGER.format(name=quoted(name), on=on, function=function, unless_hub=_UNLESS_HUB),
        _TRUNCATE_TRIGGER.format(name=quoted(name + "_t"), on=on, function=function, unless_hub=_UNLESS_HUB),
    ]


_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' SET timezone = 'UTC'
  SET extra_float_digits = 1 SET bytea_output = 'hex' AS {body}
"""
# Silent for the sink's own statement, but not for what a trigger of the agency does in its wake (R23). Asked
# here and not in the function: to enter that, with its settings, costs more than most of the sink's writes.
_UNLESS_HUB = "WHEN (pg_trigger_depth() > 0 OR current_setting('jisr.origin', true) IS DISTINCT FROM 'hub')"
_ROW_TRIGGER = """
CREATE OR REPLACE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {on}
  FOR EACH ROW {unless_hub} EXECUTE FUNCTION {function}()
"""
_TRUNCATE_TRIGGER = """
CREATE OR REPLACE TRIGGER {name} AFTER TRUNCATE ON {on}
  FOR EACH STATEMENT {unless_hub} EXECUTE FUNCTION {function}()
"""


def _dollar(body: str) -> str:
    tag = "$jisr$"
    while tag in body:
        tag = f"$jisr{len(tag)}$"
    return f"{tag}{body}{tag}"


def _fixed(row: str, table: TableMap) -> str:
    tests = [f"{row}.{quoted(c)}::text IS NOT DISTINCT FROM {literal(v)}" for c, v in table.fixed.items()]
    return " AND ".join(tests) or "true"


def _needed(table: TableMap) -> list[str]:
    return list(dict.fromkeys((table.key, *table.fixed, *table.columns)))


def _texts(texts: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(literal, texts))}]::text[]"


def _found(row: str, table: TableMap, numbers: Mapping[str, int]) -> str:
    """A query that finds a row's columns by their numbers, whatever they are called by now: a jsonb under the
    names of the mapping, null where the column is gone."""
    names = _needed(table)
    places = ", ".join(str(numbers.get(name, 0)) for name in names)
    return f"""
      SELECT jsonb_object_agg(m.name, to_jsonb({row}) -> a.attname::text)
        FROM unnest({_texts(names)}, ARRAY[{places}]::int2[]) AS m(name, place)
        LEFT JOIN pg_attribute a
          ON a.attrelid = TG_RELID AND a.attnum = m.place AND NOT a.attisdropped"""


def _found_fixed(found: str, table: TableMap) -> str:
    tests = [f"{found} ->> {literal(c)} IS NOT DISTINCT FROM {literal(v)}" for c, v in table.fixed.items()]
    return " AND ".join(tests) or "true"


FUNCTIONS = """
SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = :schema AND p.proname ~ '^jisr_capture_[0-9a-f]+$'
"""


def drop_function(name: str, schema: str) -> str:
    """A statement that removes a trigger function, and with it its triggers."""
    return f"DROP FUNCTION {quoted(schema)}.{quoted(name)}() CASCADE"


_TRUNCATE = """
<<jisr>>
DECLARE
  old_key text; new_key text; old_row jsonb; new_row jsonb; old_found jsonb; new_found jsonb;
  at_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  seen_known bigint; life integer; gone boolean; n bigint; reading bigint; cap bigint; actor text;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    BEGIN
      INSERT INTO {jisr}changes (txid, record, part, local_id, op, incarnation, known, clock_ms)
        VALUES (pg_current_xact_id()::text::bigint, {record}, {part}, '', 'T', 0, 0, at_ms);
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'jisr: a truncate was not captured: %', SQLERRM;
    END;
    RETURN NULL;
  END IF;
"""

# {old_in} and {new_in}: whether the row is one of this record type, in a table shared with others.
# A changed key, or a row that enters or leaves the record type, is a delete and an insert (R14).
# A mapped column that got another name, or is gone, must not fail the agency's write (R22): its columns are
# then found by their numbers, and captured under the names that they had when the triggers were put here.
_COMMON = """
  BEGIN
    IF TG_OP <> 'INSERT' AND ({old_in}) THEN
      old_key := OLD.{key}::text; old_row := {old};
    END IF;
    IF TG_OP <> 'DELETE' AND ({new_in}) THEN
      new_key := NEW.{key}::text; new_row := {new};
    END IF;
  EXCEPTION WHEN undefined_column THEN
    old_key := NULL; old_row := NULL; new_key := NULL; new_row := NULL;
    IF TG_OP <> 'INSERT' THEN
      old_found := ({old_by_number});
      IF {old_found_in} THEN
        old_key := old_found ->> {key_name}; old_row := old_found - {extra};
      END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
      new_found := ({new_by_number});
      IF {new_found_in} THEN
        new_key := new_found ->> {key_name}; new_row := new_found - {extra};
      END IF;
    END IF;
  END;
  IF old_key IS NOT DISTINCT FROM new_key AND old_row IS NOT DISTINCT FROM new_row THEN
    RETURN NULL;
  END IF;
"""

# Who did it, the most particular first: what the application says of its transaction, what it notes in the
# row, the role that it has taken on, the account that it signed in with. `current_user` is the function's
# owner here. The column does not tell who deletes the row.
_ACTOR = """
    IF TG_OP <> 'DELETE' THEN
      actor := nullif({written_by}, '');
    END IF;
    actor := coalesce(nullif(current_setting('jisr.actor', true), ''), actor,
      nullif(current_setting('role', true), 'none'), session_user::text);
"""

# Capture never fails the agency's own write: what goes wrong leaves the row marked, or at least a warning.
_OR_DIRTY = """  EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'jisr: a change was not captured, its row is marked dirty: %', SQLERRM;
    BEGIN
      INSERT INTO {jisr}dirty AS d SELECT {record}, k, -1, 1
        FROM unnest(ARRAY[old_key, new_key]) AS k WHERE k IS NOT NULL GROUP BY k
        ON CONFLICT (record, local_id, incarnation) DO UPDATE SET times = d.times + 1;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'jisr: the row could not be marked dirty: %', SQLERRM;
    END;
  END;
  RETURN NULL;
END jisr
"""

_BODY = (
    "  BEGIN"
    + _COMMON
    + _ACTOR
    + """    SELECT s.read_seq, s.cap INTO reading, cap FROM {jisr}state s;
    n := nextval({sequence});
    IF old_key IS NOT NULL AND old_key IS DISTINCT FROM new_key THEN
      INSERT INTO {jisr}shadow AS s (record, local_id, incarnation, deleted, created_by_hub, known, last,
          born, delivered, own, replaced, kept)
        VALUES ({record}, old_key, 1, true, false, 0, 0, 0, '{{}}', '{{}}', '{{}}', '{{}}')
        ON CONFLICT (record, local_id) DO UPDATE SET incarnation = s.incarnation + 1, deleted = true,
          created_by_hub = false
        RETURNING s.known, s.incarnation - 1 INTO seen_known, life;
      IF n - reading > cap THEN
        INSERT INTO {jisr}dirty AS d VALUES ({record}, old_key, life, 1)
          ON CONFLICT (record, local_id, incarnation) DO UPDATE SET times = d.times + 1;
      ELSE
        INSERT INTO {jisr}changes VALUES (n, pg_current_xact_id()::text::bigint, {record}, {part}, old_key,
          'D', life, seen_known, at_ms, old_row, NULL, actor);
        n := nextval({sequence});
      END IF;
    END IF;
    IF new_key IS NOT NULL THEN
      SELECT s.known, s.incarnation, s.deleted INTO seen_known, life, gone
        FROM {jisr}shadow s WHERE s.record = {record} AND s.local_id = new_key;
      IF gone THEN
        UPDATE {jisr}shadow s SET deleted = false, entity = NULL, created_by_hub = false, born = 0,
            delivered = '{{}}', own = '{{}}', replaced = '{{}}', kept = '{{}}'
          WHERE s.record = {record} AND s.local_id = new_key;
      END IF;
      IF n - reading > cap THEN
        INSERT INTO {jisr}dirty AS d VALUES ({record}, new_key, coalesce(life, 0), 1)
          ON CONFLICT (record, local_id, incarnation) DO UPDATE SET times = d.times + 1;
      ELSIF old_key IS NOT DISTINCT FROM new_key THEN
        INSERT INTO {jisr}changes VALUES (n, pg_current_xact_id()::text::bigint, {record}, {part}, new_key,
          'U', coalesce(life, 0), coalesce(seen_known, 0), at_ms, old_row, new_row, actor);
      ELSE
        INSERT INTO {jisr}changes VALUES (n, pg_current_xact_id()::text::bigint, {record}, {part}, new_key,
          'I', coalesce(life, 0), coalesce(seen_known, 0), at_ms, NULL, new_row, actor);
      END IF;
    END IF;
"""
    + _OR_DIRTY
)

# A row of a further table is an update of its record; when it moves to another record, of both.
_PART_BODY = (
    "  BEGIN"
    + _COMMON
    + _ACTOR
    + """    SELECT s.read_seq, s.cap INTO reading, cap FROM {jisr}state s;
    n := nextval({sequence});
    IF n - reading > cap THEN
      INSERT INTO {jisr}dirty AS d SELECT {record}, k, -1, 1
        FROM unnest(ARRAY[old_key, new_key]) AS k WHERE k IS NOT NULL GROUP BY k
        ON CONFLICT (record, local_id, incarnation) DO UPDATE SET times = d.times + 1;
      RETURN NULL;
    END IF;
    INSERT INTO {jisr}changes (txid, record, part, local_id, op, incarnation, known, clock_ms, old, new,
        actor)
      SELECT pg_current_xact_id()::text::bigint, {record}, {part}, k.key, k.op,
          -- A part that vanishes with its record belongs to the life that just ended.
          coalesce(CASE WHEN s.deleted THEN s.incarnation - 1 ELSE s.incarnation END, 0),
          coalesce(s.known, 0), at_ms, k.old, k.new, actor
        FROM (
          SELECT old_key AS key, 'D' AS op, old_row AS old, NULL::jsonb AS new
            WHERE old_key IS NOT NULL AND old_key IS DISTINCT FROM new_key
          UNION ALL SELECT new_key, 'I', NULL, new_row
            WHERE new_key IS NOT NULL AND old_key IS DISTINCT FROM new_key
          UNION ALL SELECT new_key, 'U', old_row, new_row
            WHERE new_key IS NOT NULL AND old_key IS NOT DISTINCT FROM new_key
        ) AS k LEFT JOIN {jisr}shadow s ON s.record = {record} AND s.local_id = k.key;
"""
    + _OR_DIRTY
)
