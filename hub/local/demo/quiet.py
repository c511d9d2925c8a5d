"""Whether anything is still under way between the agencies: asked of queues and positions, never slept.

Only to know *when* to look, and how fast it went; *what* the agencies then hold is proven without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from sqlalchemy import Engine, text

from hub.contracts import topics
from hub.contracts.agreements import Agreement
from hub.contracts.kafka_connection import KafkaConnection
from hub.errors import Fatal
from hub.local.demo.desk import Desk
from hub.ops.log_reader import LogReader, Place

_POLL_S = 0.1
# Of the time at most so much goes to looking: it uses the processor, the databases and the broker that are
# looked at.
_LOOKING_SHARE = 0.2
# Whether there is any, not how many: a queue may be long.
_UNDER_WAY_AT_AGENCY = """
    SELECT EXISTS (SELECT * FROM jisr_changes) OR EXISTS (SELECT * FROM jisr_dirty)
        OR EXISTS (SELECT * FROM jisr_retry WHERE state = 'waiting')
"""
_INBOX_POSITIONS = "SELECT topic, part, next_offset, committed_ms FROM jisr_position"
_AT_HUB = text("""
    SELECT EXISTS (SELECT FROM publication) OR EXISTS (SELECT FROM due WHERE day = 0),
           (SELECT count(*) FROM setting WHERE name LIKE 'joined:%')
""")
_HUB_POSITIONS = text("SELECT topic, partition, next_offset FROM position WHERE lane = 'intake'")


def pause_s(began: float, least_s: float) -> float:
    """How long to wait after a look that began then (`time.monotonic()`), at least `least_s`, so that looking
    stays cheap."""
    took_s = time.monotonic() - began
    return max(least_s, took_s / _LOOKING_SHARE - took_s)


class Watched(Protocol):
    """What is looked at: the agencies' databases and agreements, the hub's store, and Kafka."""

    store: Engine
    desks: dict[str, Desk]

    @property
    def agreements(self) -> Mapping[str, Agreement]: ...

    @property
    def bootstrap(self) -> str: ...


class Quiet:
    """Looks at every queue on the way. Blocks; close it at the end."""

    def __init__(self, region: Watched) -> None:
        self._region = region
        self._log = LogReader(KafkaConnection(region.bootstrap))
        agencies = region.agreements
        self._changes = self._places(topics.changes, agencies)
        # Of an agency without a database nobody can know here what it has read.
        self._inboxes = self._places(topics.inbox, region.desks)

    def close(self) -> None:
        self._log.close()

    def wait(self, within_s: float) -> bool:
        """Return as soon as nothing is under way any more; False if that takes longer than `within_s`."""
        deadline = time.monotonic() + within_s
        before = None
        while (began := time.monotonic()) < deadline:
            now = self.look()
            # Twice with nothing new in between: what was looked at first may have moved on meanwhile.
            if now is not None and now == before:
                return True
            before = now
            time.sleep(_POLL_S if now is not None else pause_s(began, _POLL_S))
        return False

    def look(self) -> dict[Place, int] | None:
        """How much was ever written to all topics, if nothing is under way; else None."""
        if any(desk.one(_UNDER_WAY_AT_AGENCY) for desk in self._region.desks.values()):
            return None
        waiting, joined, read = self._at_hub()
        if waiting or joined < sum(one.snapshot for one in self._region.agreements.values()):
            return None
        written = self._log.ends([*self._changes, *self._inboxes])
        applied = {place: offset for place, (offset, _) in self._inbox_positions().items()}
        arrived = all(read.get(place, 0) == written[place] for place in self._changes)
        if arrived and all(applied.get(place, 0) == written[place] for place in self._inboxes):
            return dict(written)
        return None

    def all_read(self) -> bool:
        """Whether the hub has read every change, and published all that follows from it."""
        waiting, _, read = self._at_hub()
        written = self._log.ends(self._changes)
        return not waiting and all(read.get(place, 0) == written[place] for place in self._changes)

    def applied(self, agency: str) -> bool:
        """Whether the agency's connector has applied everything in its inboxes."""
        inboxes = [place for place in self._inboxes if place[0].startswith(f"{agency}.")]
        applied = {place: offset for place, (offset, _) in self._inbox_positions().items()}
        written = self._log.ends(inboxes)
        return all(applied.get(place, 0) == written[place] for place in inboxes)

    def _at_hub(self) -> tuple[bool, int, dict[Place, int]]:
        """(whether anything is due or unpublished, how many have joined, offsets read)."""
        with self._region.store.connect() as store:
            waiting, joined = store.execute(_AT_HUB).one()
            read = {(row[0], row[1]): row[2] for row in store.execute(_HUB_POSITIONS)}
        return waiting, joined, read

    def last_commit_s(self) -> float:
        """When an agency's database last committed something from the hub, in seconds since 1970."""
        return max((at_ms for _, at_ms in self._inbox_positions().values()), default=0) / 1000

    def _inbox_positions(self) -> dict[Place, tuple[int, int]]:
        return {
            (topic, part): (int(offset), int(at_ms))
            for desk in self._region.desks.values()
            for topic, part, offset, at_ms in desk.ask(_INBOX_POSITIONS)
        }

    def _places(self, name: Callable[[str, str], str], agencies: Iterable[str]) -> list[Place]:
        agreements = self._region.agreements
        wanted = [name(agency, kind) for agency in agencies for kind in agreements[agency].record_types]
        found, missing = self._log.places(wanted)
        if missing:
            # Unwatched they would always seem to be at rest.
            raise Fatal(
                f"Kafka has no topic {missing[0]}: are the release's topics made (`jisr topics check`)?"
            )
        return found
