"""What holds at any time, whatever becomes of it: what a reader and an editor may rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.contracts import topics
from simulation.evidence import SCHEMAS, Evidence, is_said
from simulation.said import Saying

# How long a form that was opened before the hub's write may come back as it was: the contract's number.
STALE_MS = 15 * 60 * 1000


class Promises(Evidence):
    """Promises that were broken on the way."""

    def promises_broken(self) -> Iterator[str]:
        yield from self._overtaken()
        yield from self._stale()
        yield from self._corrected()
        yield from self._buried()
        yield from self._went_back()
        yield from self.region.seen_wrong

    def _overtaken(self) -> Iterator[str]:
        """The last message of each key is the newest, also after compaction (R26)."""
        for place, log in self.region.broker.log.items():
            if not place[0].endswith(".inbox"):
                continue
            newest: dict[bytes, int] = {}
            last: dict[bytes, int] = {}
            for offset, record in enumerate(log):
                if record.value is not None and (*place, offset) not in self.region.broker.repeated:
                    version = SCHEMAS.decode(record.value)["version"]
                    newest[record.key] = max(newest.get(record.key, 0), version)
                    last[record.key] = version
            for key in newest:
                if last[key] < newest[key]:
                    yield f"{place}: the last message of {key!r} is not the newest"

    def _stale(self) -> Iterator[str]:
        """Who puts back what the hub has just replaced did so by a stale form: it is not asserted (R13)."""
        said = self._said_of()
        for entry in self.region.people.ledger:
            if entry.operation != "update":
                continue
            people = self.region.people
            # What a restore has undone before this was typed does not count.
            wrote = self.region.databases[entry.place[0]].hub_wrote_until(entry.at_ms)
            for name, value in entry.values.items():
                before = [one for one in wrote if one[1:4] == (*entry.place[1:], name)]
                typed = [
                    e for e in self.region.people.ledger
                    if e.place == entry.place and name in e.values and e is not entry
                    and (not before or e.at_ms >= before[-1].at_ms)
                    and people.is_undone(e) <= people.is_undone(entry)
                ]  # fmt: skip
                if not before or typed or before[-1].before != value or value in (None, []):
                    continue
                if before[-1].after is None:
                    continue  # Taken back: what stood before that is not what the hub has just replaced.
                if isinstance(value, list) or entry.at_ms - before[-1].at_ms > STALE_MS:
                    continue
                # A stamp may be ahead of the form, from before it: what had been sent by then is not of it.
                sent = {s.change["event_id"] for s in said[entry.place] if s.at_ms < entry.at_ms}
                for one in said[entry.place]:
                    if one.change["event_id"] in sent:
                        continue
                    at_ms = entry.at_ms + self.region.databases[entry.place[0]].skew_ms
                    asserted = name in one.change["changed"] and one.change["operation"] == "update"
                    if asserted and one.value(name) == value and one.change["stamp"] >> 16 >= at_ms:
                        yield f"{entry.place}: {name} came from a stale form, and was asserted"

    def _corrected(self) -> Iterator[str]:
        """Who corrects a value that was shown to them is always later than that value (R10)."""
        told: dict[tuple[str, Any], list[Saying]] = {}
        for one in self.sayings:
            for name in ("phone", "received_on"):
                if name in one.change["changed"] and one.value(name) is not None:
                    told.setdefault((name, one.value(name)), []).append(one)
        said = self._said_of()
        for entry in self.region.people.ledger:
            for name in ("phone", "received_on"):
                before, value = entry.before.get(name), entry.values.get(name)
                if entry.operation == "update" and before is not None and value is not None:
                    ours = [o.change["stamp"] for o in said[entry.place] if is_said(o, name, value)]
                    # What was said later was not what they saw, even if it is the same value again.
                    seen = [o.stamp for o in told.get((name, before), ()) if o.at_ms <= entry.at_ms]
                    if ours and seen and max(ours) <= min(seen):
                        yield f"{entry.place}: {name} was corrected, and the correction is older"

    def _buried(self) -> Iterator[str]:
        """A tombstone stands only where its agency has acknowledged what stood before (R29)."""
        for place, log in self.region.broker.log.items():
            if not place[0].endswith(".inbox"):
                continue
            agency, _ = topics.split(place[0])
            for offset, record in enumerate(log):
                if record.value is None:
                    told = [
                        (SCHEMAS.decode(before.value)["version"], -number)
                        for number, before in enumerate(log[:offset])
                        if before.key == record.key and before.value is not None
                    ]
                    # The newest version where it stands first: said again, it is the same.
                    newest = -max(told)[1]
                    if self._acknowledged(agency, place, record.timestamp) <= newest:
                        yield f"{place}: a tombstone at {offset} before the agency had read {newest}"

    def _acknowledged(self, agency: str, place: tuple[str, int], until_ms: int) -> int:
        log = self.region.broker.log[topics.receipts(agency), 0]
        receipts = [SCHEMAS.decode(r.value or b"") for r in log if r.timestamp <= until_ms]
        offsets = [r["offset"] for r in receipts if (r["topic"], r["partition"]) == place]
        return max(offsets, default=0)

    def _went_back(self) -> Iterator[str]:
        for agency, database in self.region.databases.items():
            for row in [*database.went_back, *database.handle.execute("SELECT * FROM went_back")]:
                yield f"{agency}: went back to a lower version: {row}"
