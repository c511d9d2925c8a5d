"""An agency leaves: what was delivered to it, what becomes of what it said (R15, R17).

Disclosure ends by the release alone (R5): with its agreement over, the workers take back what it holds; with
its file gone, they read it no more. What is done here is what no file can say: that its access to Kafka ends,
and whether its word stays.
"""

from __future__ import annotations

import csv
import datetime
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import text

from hub.core import stamps
from hub.core.assertions import Change, RecordState
from hub.core.crosswalk import Held
from hub.core.merge import golden_record, is_live
from hub.errors import Fatal
from hub.lanes.consents import CONSENT, consent_said
from hub.ops.access import NoAuthorizer, end_access
from hub.ops.audit import Person
from hub.ops.handing_over import hand_over
from hub.ops.parts import Parts, today
from hub.store.audit import note
from hub.store.transaction import Transaction

STAYS, WITHDRAWN = "stays", "withdrawn"
RETIRE = "retire"

_CHUNK = 500
_PAGE = 2_000

_LIVE = text("""
    SELECT id FROM record WHERE agency = :agency AND ended = 0 AND id > :after ORDER BY id LIMIT :limit
""")
_HELD = text("SELECT id, record_type, held FROM entity WHERE id > :after ORDER BY id LIMIT :limit")
_DECODE_HELD = msgspec.msgpack.Decoder(dict[str, Held]).decode


@dataclass
class Leaving:
    """What an agency's leaving means, by record type. `delivered`: entities that it was last told of, by
    what it was told; `said`: its live records; `alone`: those of them that nobody else supports, and which
    would end everywhere with its word; `forbidden`: consents of which it says that they were withdrawn, which
    stay said."""

    agency: str
    until: datetime.date | None
    delivered: Counter[tuple[str, str]] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    forbidden: int = 0

    @property
    def in_force(self) -> bool:
        return self.until is not None and self.until >= today()


class Retirement:
    """Shows and carries out. Blocks. One that was cut off is made again."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock

    def look(self, agency: str, listing: Path | None = None) -> Leaving:
        """What it means; `listing`: a CSV file for what was delivered. Raises `Fatal` if nobody knows it."""
        agreement = self._parts.agreements.get(agency)
        found = Leaving(agency, None if agreement is None else agreement.until)
        with self._parts.looking() as tx:
            self._count_said(tx, found)
            rows = self._count_delivered(tx, found)
            if listing is None:
                for _ in rows:
                    pass
            else:
                _write(listing, rows)
        if agreement is None and not (found.said or found.delivered):
            known = ", ".join(self._parts.agreements)
            raise Fatal(f"no agency {agency!r}, and nothing that it said or holds: there are {known}")
        return found

    def end_access(self, found: Leaving) -> int | None:
        """Take the agency's rights and password on Kafka away; how many rights, None if Kafka keeps none.

        Refused while its agreement is in force.
        """
        self._refuse_in_force(found)
        try:
            return end_access(self._parts.settings.kafka, found.agency)
        except NoAuthorizer:
            return None

    def withdraw(self, agency: str, who: str, why: str) -> int:
        """End all records of the agency; how many. Entities live on where others support them.

        That a person withdrew a consent stays said: the person did, and what was given elsewhere before it
        would let others know again what they were to know no more (R17).
        """
        self._kept(agency, who, why, WITHDRAWN)
        finish = hand_over(self._parts.encoder())
        ended = 0
        mine: list[RecordState] = []
        after = b""

        def take(tx: Transaction) -> Sequence[Change]:
            nonlocal mine
            mine = _live(tx, agency, after, _CHUNK)
            return [self._end(state) for state in mine if not self._forbids(state)]

        while True:
            self._parts.intake.apply(take, finish)
            ended += sum(not self._forbids(state) for state in mine)
            if len(mine) < _CHUNK:
                return ended
            after = mine[-1].id

    def keep(self, agency: str, who: str, why: str) -> None:
        """Let what the agency said stay: only the decision is kept."""
        self._kept(agency, who, why, STAYS)

    def _kept(self, agency: str, who: str, why: str, said: str) -> None:
        self._refuse_in_force(self.look(agency))
        with self._parts.deciding() as tx:
            detail = f"what it said {said}"
            note(tx, [Person.at_keyboard(who).entry(RETIRE, agency, why, agency=agency, detail=detail)])

    def _refuse_in_force(self, found: Leaving) -> None:
        if found.in_force:
            raise Fatal(
                f"the agreement of {found.agency} is in force until {found.until}: let it end in the release "
                "first (`until`, or without the file), and restart the workers"
            )

    def _forbids(self, state: RecordState) -> bool:
        """Whether it says that a person withdrew a consent."""
        if state.key.record_type != CONSENT:
            return False
        golden = golden_record(self._parts.types[CONSENT], [state])
        said = consent_said(self._parts.catalogue.records[CONSENT], golden)
        return said is not None and said.withdrawn

    def _end(self, state: RecordState) -> Change:
        # Nobody deleted the person: others' rows stay, also of types whose deletions are passed on (R15).
        stamp = stamps.capture(int(self._clock() * 1000), state.seen)
        return Change(
            key=state.key,
            operation="unlink",
            stamp=stamp,
            effective=stamp,
            event_id=f"{RETIRE}-{stamp}",
            epoch=state.asserts.epoch,
        )

    def _count_said(self, tx: Transaction, found: Leaving) -> None:
        after = b""
        while mine := _live(tx, found.agency, after, _PAGE):
            entity_of = tx.records({state.id for state in mine}).entity_of
            members = tx.entities(set(entity_of.values())).members()
            for state in mine:
                kind = state.key.record_type
                found.said[kind] += 1
                forbids = self._forbids(state)
                found.forbidden += forbids
                others = [m for m in members[entity_of[state.id]] if m.key.agency != found.agency]
                ends = state.speaks and not forbids
                found.alone[kind] += ends and not is_live(self._parts.types[kind], others)
            after = mine[-1].id

    def _count_delivered(self, tx: Transaction, found: Leaving) -> Iterator[tuple[str, ...]]:
        """Counts, and yields for each: record type, the agency's own name of the entity, what it was told."""
        name, after = self._parts.ids.pairwise(found.agency).name, b""
        while rows := tx.connection.execute(_HELD, {"after": after, "limit": _PAGE}).all():
            for entity, kind, packed in rows:
                held = _DECODE_HELD(packed).get(found.agency)
                if held is not None:
                    found.delivered[kind, held.operation] += 1
                    yield kind, name(bytes(entity)), held.operation
            after = bytes(rows[-1].id)


def _live(tx: Transaction, agency: str, after: bytes, limit: int) -> list[RecordState]:
    rows = tx.connection.execute(_LIVE, {"agency": agency, "after": after, "limit": limit})
    records = tx.records({bytes(row.id) for row in rows}).records
    return [records[record] for record in sorted(records)]


def _write(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("record_type", "entity", "told"))
            writer.writerows(rows)
    except OSError as error:
        raise Fatal(f"{path}: what was delivered cannot be listed: {error.strerror}") from error
