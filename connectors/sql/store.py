"""Reading and writing the bookkeeping tables as values; the statements are the same for every dialect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.sql.database import Database, Locked
from connectors.sql.rows import INSERT, LINK, Captured, EntityRow, Shadow
from connectors.sql.tables import CAPTURE_CAP, ENTITY, SHADOW, STATE
from hub.errors import ConfigurationError

READ_QUEUE = """
SELECT seq, txid, record, part, local_id, op, incarnation, known, clock_ms, old, new, actor
  FROM {changes} WHERE seq > :floor ORDER BY seq LIMIT :limit
"""
PENDING = """
SELECT seq, txid, record, part, local_id, op, incarnation, known, clock_ms, old, new, actor
  FROM {changes} WHERE record = :record AND local_id IN_LIST(:ids) ORDER BY seq
"""
_QUEUED = "SELECT local_id FROM {changes} WHERE record = :record AND local_id IN_LIST(:ids)"
_BEGINNING = """
SELECT local_id FROM {changes}
 WHERE record = :record AND local_id IN_LIST(:ids) AND part = 0 AND op IN_LIST(:ops)
"""
PENDING_DIRTY = "SELECT local_id FROM {dirty} WHERE record = :record AND local_id IN_LIST(:ids)"
FORGET = "DELETE FROM {changes} WHERE seq IN_LIST(:seqs)"
# Backwards as well: a sequence that a restore set back must not look like a full queue. `sent_seq` never
# goes back by itself: a log that knows of a later number knows that the database was set back (R24).
READ_UP_TO = """
UPDATE {state} SET read_seq = :seq, sent_seq = CASE WHEN sent_seq > :seq THEN sent_seq ELSE :seq END
"""
SHADOWS = """
SELECT record, local_id, entity, incarnation, deleted, created_by_hub, known, last, born,
       delivered, own, replaced, kept, row_print
  FROM {shadow} WHERE record = :record AND local_id IN_LIST(:ids)
"""
ENTITIES = """
SELECT record, entity, version, local_id, merged_into, named, brought, brought_born
  FROM {entity} WHERE record = :record AND entity IN_LIST(:entities)
"""
_STANDS_FOR = """
SELECT local_id, entity, deleted FROM {shadow} WHERE record = :record AND local_id IN_LIST(:ids)
"""
_STANDING_FOR = """
SELECT entity FROM {entity}
 WHERE record = :record AND entity IN_LIST(:entities) AND (local_id IS NOT NULL OR brought IS NOT NULL)
"""

_PARTS = """
SELECT entity, merged_into FROM {entity} WHERE record = :record AND merged_into IN_LIST(:entities)
"""

# Merges upon merges that a reference is followed through: more would be a circle.
MERGE_CHAIN = 20


def captured(rows: Iterable[tuple[Any, ...]]) -> list[Captured]:
    return [Captured(*row) for row in rows]


def shadows(db: Database, record: str, ids: Collection[str]) -> dict[str, Shadow]:
    """Shadows by local id, as they are now."""
    return _shadows(db, SHADOWS, record, ids)


def locked_shadows(db: Database, record: str, ids: Collection[str]) -> dict[str, Shadow]:
    """Shadows of all `ids`, made where there were none, locked until the transaction ends.

    In the order of their keys: source and sink lock the same shadows, and must not wait in a circle.
    """
    found = known_shadows(db, record, ids)
    missing = [local_id for local_id in ids if local_id not in found]
    if missing:
        db.upsert(SHADOW, [Shadow(record, local_id) for local_id in sorted(missing)], keep=True)
        found |= known_shadows(db, record, missing)
    return found


def known_shadows(db: Database, record: str, ids: Collection[str]) -> dict[str, Shadow]:
    """Those shadows of `ids` that there are, locked as by `locked_shadows`."""
    return _shadows(db, f"{SHADOWS} ORDER BY local_id{db.for_update}", record, ids)


def add_shadows(db: Database, rows: Iterable[Shadow]) -> None:
    """Shadows of which `known_shadows` found none: written once, where `locked_shadows` would do it twice.

    Raises `Locked` if somebody has made one of them meanwhile: nothing must be written over unread.
    """
    new = sorted(rows, key=lambda shadow: shadow.local_id)
    if db.upsert(SHADOW, new, keep=True) < len(new):
        raise Locked("a shadow was made while it was looked for")


def _shadows(db: Database, sql: str, record: str, ids: Collection[str]) -> dict[str, Shadow]:
    rows = db.query(sql, {"record": record, "ids": list(ids)}) if ids else []
    return {row[1]: Shadow(*row) for row in rows}


def save_shadows(db: Database, rows: Iterable[Shadow]) -> None:
    db.upsert(SHADOW, list(rows))


def entities(db: Database, record: str, names: Collection[str]) -> dict[str, EntityRow]:
    rows = db.query(ENTITIES, {"record": record, "entities": list(names)}) if names else []
    return {row[1]: EntityRow(*row) for row in rows}


def standing(db: Database, record: str, names: Collection[str]) -> set[str]:
    """Those of these entities for which a local record stands, or that may take one back."""
    return {row[0] for row in db.query(_STANDING_FOR, {"record": record, "entities": list(names)})}


def save_entities(db: Database, rows: Iterable[EntityRow]) -> None:
    db.upsert(ENTITY, list(rows))


def resolve(db: Database, record: str, names: Sequence[str]) -> Mapping[str, str]:
    """Local ids of entities, where a live local record stands for them; follows merges."""
    now = {name: name for name in names}
    found: dict[str, tuple[str, str]] = {}
    for _ in range(MERGE_CHAIN):
        rows = entities(db, record, set(now.values()))
        merged = {}
        for name, entity in now.items():
            row = rows.get(entity)
            if row is not None and row.local_id is not None:
                found[name] = row.local_id, entity
            elif row is not None and row.merged_into is not None:
                merged[name] = row.merged_into
        now = merged
        if not now:
            break
    ids = {local_id for local_id, _ in found.values()}
    lives = db.query(_STANDS_FOR, {"record": record, "ids": sorted(ids)}) if ids else []
    # A local id may be somebody else's by now (R14): a reference to it would lead to the wrong one.
    stands = {local_id: None if deleted else entity for local_id, entity, deleted in lives}
    return {name: local_id for name, (local_id, entity) in found.items() if stands.get(local_id) == entity}


def parts(db: Database, record: str, names: Collection[str]) -> dict[str, str]:
    """Entities that are part of these by merges, each with the one of these."""
    found: dict[str, str] = {}
    into = {name: name for name in names}
    for _ in range(MERGE_CHAIN):
        rows = db.query(_PARTS, {"record": record, "entities": sorted(into)}) if into else []
        into = {entity: into[whole] for entity, whole in rows if entity not in found}
        found |= into
    return found


def busy(db: Database, record: str, ids: Sequence[str]) -> set[str]:
    """Those of these records of which something is captured, or only is known that they changed."""
    if not ids:
        return set()
    params = {"record": record, "ids": list(ids)}
    return {row[0] for sql in (_QUEUED, PENDING_DIRTY) for row in db.query(sql, params)}


def beginning(db: Database, record: str, ids: Sequence[str]) -> set[str]:
    """Those of these records of which it waits in the queue that a life has begun."""
    params = {"record": record, "ids": list(ids), "ops": list(_BEGINS)}
    return {row[0] for row in db.query(_BEGINNING, params)} if ids else set()


def prepare(db: Database, agency: str) -> None:
    """Create the bookkeeping where it is missing; safe to repeat at every start.

    Raises `ConfigurationError` where it is another agency's: two that use the same software have the same
    tables, and with a wrong address the rows of one would be told as the other's.
    """
    db.create_bookkeeping()
    first = {"one": 1, "epoch": 1, "read_seq": 0, "cap": CAPTURE_CAP, "snapshot": {}, "sent_seq": 0}
    first |= {"restored_ms": 0, "set_back_epoch": 0, "installed_ms": db.clock_ms()}
    with db.transaction():
        db.upsert(STATE, [first], keep=True)
        db.execute("UPDATE {state} SET agency = :agency WHERE agency IS NULL", {"agency": agency})
    require_own(db, agency)


def require_own(db: Database, agency: str) -> None:
    """Raises `ConfigurationError` where the bookkeeping is another agency's."""
    for (whose,) in db.query("SELECT agency FROM {state} WHERE agency IS NOT NULL"):
        if whose != agency:
            raise ConfigurationError(
                f"this database is {whose}'s, and the mapping is {agency}'s: check the database's address. "
                f"If {whose} has left, `jisr connector uninstall` with its mapping makes room"
            )


def is_installed(db: Database) -> bool:
    """Whether a connector has its bookkeeping there."""
    return db.has_table("jisr_state")


def require_capture(db: Database, file: Path, agency: str) -> None:
    """Raises `ConfigurationError` where the connector of this mapping file is not installed."""
    if not is_installed(db):
        raise ConfigurationError(f"{file}: capture is not installed; run `jisr connector install {file}`")
    # An older release's bookkeeping may lack a column.
    db.create_bookkeeping()
    require_own(db, agency)


def state(db: Database) -> tuple[int, dict[str, Any]]:
    """(epoch, progress of the snapshot by record type)."""
    row = db.query("SELECT epoch, snapshot FROM {state}")[0]
    return int(row[0]), dict(row[1] or {})


def installed_ms(db: Database) -> int:
    """When the bookkeeping was made, in Unix milliseconds; 0 if by an earlier release."""
    return int(db.query("SELECT coalesce(installed_ms, 0) FROM {state}")[0][0])


def tried(db: Database) -> int:
    """Up to which number of the queue changes may have been sent."""
    return int(db.query("SELECT coalesce(sent_seq, 0) FROM {state}")[0][0])


def note_tried(db: Database, seq: int) -> None:
    """All up to `seq` may be sent from now on."""
    with db.transaction():
        db.execute("UPDATE {state} SET sent_seq = :seq WHERE coalesce(sent_seq, 0) < :seq", {"seq": seq})


def new_epoch(db: Database, epoch: int | None = None, restored_ms: int | None = None) -> None:
    """Begin a new epoch: event ids differ from now on, and all rows are read again.

    `epoch`: the one to begin, if not the next; `restored_ms`: when the database was found set back.
    """
    with db.transaction():
        number = state(db)[0] + 1 if epoch is None else epoch
        params = {"snapshot": "{}", "epoch": number, "restored_ms": restored_ms}
        db.execute(_NEW_EPOCH, params | {"set_back": 0 if restored_ms is None else number})


_NEW_EPOCH = """
UPDATE {state} SET epoch = :epoch, snapshot = :snapshot, set_back_epoch = :set_back,
                   restored_ms = coalesce(:restored_ms, restored_ms)
"""
_SET_BACK = "SELECT CASE WHEN set_back_epoch = epoch THEN restored_ms ELSE 0 END FROM {state}"


def set_back_ms(db: Database) -> int:
    """When the database was found set back, if this epoch began by that; else 0."""
    return int(db.query(_SET_BACK)[0][0])


def renew_lives(db: Database, rows: Collection[Captured], first: int) -> bool:
    """Count the lives that begin with these rows from `first` on; whether any was counted from lower down.

    The ids that people are given in a restored database may be those of rows that it has forgotten, and that
    others know; also before anybody has found out that it was restored.
    """
    begun: dict[tuple[str, int], dict[str, None]] = {}
    for row in rows:
        if row.part == 0 and row.op in _BEGINS and row.incarnation < first:
            begun.setdefault((row.record, row.incarnation), {})[row.local_id] = None
    if not begun:
        return False
    with db.transaction():
        for (record, life), ids in sorted(begun.items(), key=lambda item: item[0]):
            db.upsert(SHADOW, [Shadow(record, one, incarnation=life) for one in sorted(ids)], keep=True)
            params = {"record": record, "ids": list(ids), "life": life, "first": first, "by": first - life}
            for statement in _RENEW:
                db.execute(statement, params)
    return True


_BEGINS = (INSERT, LINK)
# What has been renewed with an earlier row of the same id is not renewed again.
_OF_LIFE = "WHERE record = :record AND local_id IN_LIST(:ids) AND incarnation BETWEEN :life AND :first - 1"
_RENEW = tuple(
    f"UPDATE {{{table}}} SET incarnation = incarnation + :by {_OF_LIFE}"  # noqa: S608  # tables of our own
    for table in ("changes", "dirty", "shadow")
)
