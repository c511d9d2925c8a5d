"""What is looked at when a run is judged: the topics, the rows, the ledger, and what should be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from hub.contracts import topics
from hub.lanes.messages import hub_name
from simulation.deeds import TODAY
from simulation.parts import SCHEMAS, parts
from simulation.people import Entry, Place
from simulation.reference import Entity, Reference
from simulation.region import Region
from simulation.said import Name, Saying, fold, read_sayings

__all__ = ["SCHEMAS", "Evidence", "is_said"]


class Evidence:
    """Everything of one region at rest, read once."""

    def __init__(self, region: Region) -> None:
        self.region, self.given = region, parts()
        self.sayings = list(read_sayings(region.broker, SCHEMAS))
        specs = {kind: contract.by_name for kind, contract in self.given.catalogue.records.items()}
        records = fold(iter(self.sayings), specs, self.given.agreements, self._whole())
        ids = {name: self.given.ids.record(*name) for name in records}
        for record in records.values():
            if record.linked is not None:
                found = self.given.ids.pairwise(record.name.agency).hub_id(record.linked)
                record.linked = hub_name(found or b"")
        named = {name: hub_name(one) for name, one in ids.items()}
        self.hub_id = ids
        # The last word on two records stands.
        self.decided = {frozenset((one.a, one.b)): one.same for one in region.stewards.ledger}
        self.reference = Reference(
            records, named, self.given.catalogue, self.given.agreements, TODAY, self._disputed(),
            self.decided, self._handed_on(),
        )  # fmt: skip

    def _messages(self, topic: str) -> Iterator[Any]:
        for place in self.region.broker.of([topic]):
            for record in self.region.broker.log[place]:
                if record.value is not None:
                    yield SCHEMAS.decode(record.value)

    def _disputed(self) -> dict[Place, frozenset[str]]:
        found: dict[Place, frozenset[str]] = {}
        for agency in self.given.agreements:
            for notice in self._messages(topics.notices(agency)):
                if notice["kind"] == "disputed":
                    place = (agency, notice["record_type"], notice["local_id"])
                    found[place] = found.get(place, frozenset()).union(notice["fields"])
        return found

    def _whole(self) -> dict[tuple[str, str], int]:
        """(Agency, record type) → the epoch of which its side last said that all of it is said (R24)."""
        last: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}
        for agency in self.given.agreements:
            for receipt in self._messages(topics.receipts(agency)):
                if receipt["topic"].endswith(".changes"):
                    told = last.setdefault(topics.split(receipt["topic"]), {})
                    word = receipt["committed_ms"], receipt["epoch"]
                    told[receipt["partition"]] = max(word, told.get(receipt["partition"], (0, 0)))
        return {place: min(epoch for _, epoch in told.values()) for place, told in last.items()}

    def _handed_on(self) -> frozenset[Name]:
        """Lives that had ended at the hub when all was at rest, whatever was said: that of a lost record ends
        once another speaks for it, and whether that was before the other was deleted cannot be read from
        what was said."""
        return frozenset(Name(*row[1:5]) for row in self.region.store.rows("record") if row[8])

    def _entries(self) -> dict[Place, list[Entry]]:
        entries: dict[Place, list[Entry]] = defaultdict(list)
        for entry in self.region.people.ledger:
            entries[entry.place].append(entry)
        return entries

    def _said_of(self) -> dict[Place, list[Saying]]:
        said: dict[Place, list[Saying]] = defaultdict(list)
        for one in self.sayings:
            said[one.name[:3]].append(one)
        return said

    def _name(self, agency: str, entity: Entity) -> str:
        return self.given.ids.pairwise(agency).name(self.hub_id[entity.founder.name])


def is_said(one: Saying, name: str, value: Any) -> bool:
    if isinstance(value, list) or isinstance(one.value(name), list):
        # Of a list its own additions and removals are said (R12).
        return name in one.change["changed"]
    return name in (*one.change["changed"], *one.change["stale"]) and one.value(name) == value
