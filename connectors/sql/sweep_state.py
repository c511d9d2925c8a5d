"""Where a sweep is, what it cost and what it found: kept in the agency's own database (R30)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from connectors.sql.database import Database
from connectors.sql.tables import FINDING, SWEEP

# Phases of a sweep: through the rows, through the shadows, at its end.
ROWS, SHADOWS, DONE = "rows", "shadows", "done"
# A row changed, made, or removed behind the triggers.
EDITED, UNKNOWN, MISSING = "edited", "unknown", "missing"
# What became of a finding: only told; queued as an edit; somebody was at work on the row.
RAISED, REPAIRED, BUSY = "raised", "repaired", "busy"
KINDS, STATES = (EDITED, UNKNOWN, MISSING), (RAISED, REPAIRED, BUSY)

_LOAD = """
SELECT phase, after, started_ms, finished_ms, cost, report FROM {sweep} WHERE record = :record
"""
_FORM = "SELECT form FROM {sweep} WHERE record = :record"
_ADOPT = "UPDATE {sweep} SET form = :form WHERE record = :record"
_MAKE_DUE = "UPDATE {sweep} SET phase = :done, finished_ms = 0 WHERE record = :record"
_FIRST_IDS = """
SELECT local_id FROM {shadow} WHERE record = :record AND local_id > :after ORDER BY local_id LIMIT :limit
"""
_UNPRINT = "UPDATE {shadow} SET row_print = NULL WHERE record = :record AND local_id IN_LIST(:ids)"
_FORGET = "DELETE FROM {finding} WHERE record = :record AND at_ms < :started"
_FINDINGS = """
SELECT record, local_id, kind, fields, state FROM {finding}
 WHERE record = :record AND (:kind = '' OR kind = :kind) ORDER BY kind, local_id LIMIT :limit
"""
# Shadows whose prints are dropped at a time.
_UNPRINT_ROWS = 500
# Findings of one kind that are kept with their ids; beyond, they are counted.
KEPT = 1_000


@dataclass
class Cost:
    """What a sweep asked of the agency's database: rows read whole, keys looked up, bytes, seconds."""

    rows: int = 0
    keys: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.rows + other.rows,
            self.keys + other.keys,
            self.bytes + other.bytes,
            round(self.seconds + other.seconds, 6),
        )

    def text(self) -> str:
        return (
            f"{self.rows} rows and {self.keys} keys read, {self.bytes} bytes, "
            f"{self.seconds:.2f} s in the database"
        )


@dataclass(frozen=True)
class Finding:
    """One record that is not as this side knew it; `fields` of an edited one. Names no value."""

    record: str
    local_id: str
    kind: str
    fields: tuple[str, ...] = ()
    state: str = RAISED

    def text(self) -> str:
        return f"{self.kind}{': ' if self.fields else ''}{', '.join(self.fields)}; {self.state}"


@dataclass(frozen=True)
class Sweep:
    """How far the sweep of one record type is. `report` is of the last one that came to its end."""

    record: str
    phase: str = DONE
    after: str | None = None
    started_ms: int = 0
    finished_ms: int = 0
    cost: Cost = field(default_factory=Cost)
    found: Mapping[str, int] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)


def load(db: Database, record: str) -> Sweep:
    rows = db.query(_LOAD, {"record": record})
    if not rows:
        return Sweep(record)
    phase, after, started, finished, under_way, report = rows[0]
    cost = Cost(**{name: _number(value) for name, value in under_way["cost"].items()})
    return Sweep(record, phase, after, started, finished, cost, dict(under_way["found"]), dict(report or {}))


def _number(value: Any) -> Any:
    # JSON from PostgreSQL comes with exact numbers.
    return value if isinstance(value, int) else float(value)


def save(db: Database, sweep: Sweep) -> None:
    """Within the caller's transaction, or as one of its own. The form stays as it is."""
    form = db.query(_FORM, {"record": sweep.record})
    row = {
        "record": sweep.record,
        "form": form[0][0] if form else "",
        "phase": sweep.phase,
        "after": sweep.after,
        "started_ms": sweep.started_ms,
        "finished_ms": sweep.finished_ms,
        "cost": {"cost": asdict(sweep.cost), "found": dict(sweep.found)},
        "report": dict(sweep.report),
    }
    db.upsert(SWEEP, [row])


def onward(sweep: Sweep, after: str | None, cost: Cost, findings: Sequence[Finding], now_ms: int) -> Sweep:
    """The sweep after one page. Pure. No last key means that the phase is over."""
    found = Counter(sweep.found)
    found.update(finding.kind for finding in findings)
    sweep = replace(sweep, after=after, cost=sweep.cost + cost, found=dict(found))
    if after is not None:
        return sweep
    if sweep.phase == ROWS:
        return replace(sweep, phase=SHADOWS)
    report = {"cost": asdict(sweep.cost), "found": dict(found), "took_ms": now_ms - sweep.started_ms}
    return replace(sweep, phase=DONE, finished_ms=now_ms, report=report)


def make_due(db: Database, record: str) -> bool:
    """Have a sweep begin anew as soon as may be; whether this record type has been worked on before."""
    with db.transaction():
        return db.execute(_MAKE_DUE, {"record": record, "done": DONE}) > 0


def adopt_form(db: Database, record: str, form: str) -> None:
    """Drop prints of other columns than those that the mapping now has: they can be compared no more.

    Before anything is printed in the new form the old one is gone from the record of it, so that a crash
    in between begins anew.
    """
    known = db.query(_FORM, {"record": record})
    if known and known[0][0] == form:
        return
    if known and known[0][0]:
        after: str | None = ""
        while after is not None:
            params = {"record": record, "after": after, "limit": _UNPRINT_ROWS}
            ids = [local_id for (local_id,) in db.query(_FIRST_IDS, params)]
            if ids:
                with db.transaction():
                    db.execute(_UNPRINT, {"record": record, "ids": ids})
            after = ids[-1] if ids else None
    with db.transaction():
        if not known:
            save(db, Sweep(record))
        db.execute(_ADOPT, {"record": record, "form": form})


def keep(db: Database, sweep: Sweep, findings: Iterable[Finding], now_ms: int) -> None:
    """`sweep` has counted them already."""
    rows = [
        {
            "record": finding.record,
            "local_id": finding.local_id,
            "kind": finding.kind,
            "fields": list(finding.fields),
            "state": finding.state,
            "at_ms": now_ms,
        }
        for finding in findings
        if sweep.found.get(finding.kind, 0) <= KEPT
    ]
    db.upsert(FINDING, rows)


def forget_older(db: Database, sweep: Sweep) -> None:
    """Once all was looked at again, only what was found again still stands."""
    db.execute(_FORGET, {"record": sweep.record, "started": sweep.started_ms})


def findings(db: Database, record: str, kind: str = "") -> list[Finding]:
    rows = db.query(_FINDINGS, {"record": record, "kind": kind, "limit": KEPT})
    return [Finding(record, key, kind, tuple(fields), state) for record, key, kind, fields, state in rows]
