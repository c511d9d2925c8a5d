"""Whether all is at rest: nothing is under way, due, or still to be found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.contracts import topics
from simulation.agency import AgencyDatabase
from simulation.deeds import TODAY
from simulation.parts import AGENCIES, SCHEMAS

if TYPE_CHECKING:
    from simulation.region import Region


def unrest(region: Region) -> list[str]:
    """What is still to be done."""
    found = ["people are at work"] if region.at_work else []
    found += [f"publication {row[0]}" for row in region.store.rows("publication")]
    today = (TODAY - TODAY.fromordinal(719_163)).days
    found += ["due"] if any(row[0] <= today for row in region.store.rows("due")) else []
    joined = {key for key in region.store.tables.committed["setting"] if key.startswith("joined:")}
    found += ["joining"] if len(joined) < len(AGENCIES) else []
    for lane, topic, partition, _, offset in region.store.rows("position"):
        if offset < len(region.broker.log[topic, partition]):
            found.append(f"{lane} {topic}[{partition}]")
    for name, database in region.databases.items():
        found += _at(region, name, database)
    return found + _after_restores(region)


def _after_restores(region: Region) -> list[str]:
    """What is still to be found out about databases that were restored."""
    found = []
    for one in region.operators.ledger:
        log = region.broker.log[topics.receipts(one.agency), 0][one.receipts :]
        told = [SCHEMAS.decode(record.value or b"")["topic"] for record in log]
        if not any(topic.endswith(".changes") for topic in told):
            found.append(f"{one.agency} has not said everything again")
    if region.restores:
        known = region.store.tables.committed["setting"]
        for topic, *_, epoch, _ in region.store.rows("receipt"):
            if epoch and known.get(f"epoch:{topic}") != (str(epoch),):
                found.append(f"epoch {epoch} of {topic}")
    return found


def _at(region: Region, name: str, database: AgencyDatabase) -> list[str]:
    if database.writer is not None:
        return [f"{name} is writing"]
    found = []
    for table in ("changes", "dirty", "outbox"):
        if database.handle.execute(f"SELECT 1 FROM jisr_{table} LIMIT 1").fetchone():
            found.append(f"{name} {table}")
    # What waits for something that comes no more may wait; what the agency refuses is for the judge.
    held = database.handle.execute(
        "SELECT code FROM jisr_retry WHERE code <> 'missing_reference' OR next_at_ms <= ?",
        [region.schedule.now_ms + database.skew_ms],
    ).fetchall()
    found += [f"{name} retry {code}" for (code,) in held]
    known = database.handle.execute("SELECT topic, part, next_offset FROM jisr_position").fetchall()
    offsets = {(topic, part): offset for topic, part, offset in known}
    inboxes = [topics.inbox(name, kind) for kind in region.parts.mappings[name].records]
    for place in region.broker.of(inboxes):
        if offsets.get(place, 0) < len(region.broker.log[place]):
            found.append(f"{place}")
    return found
