"""People, source and sink at once, against a small model of the hub: in the end row and hub agree."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from typing import Any

import psycopg
import pytest
from sql_agency import PERSON, Agency

from connectors.sdk import Arrivals, Change, Delivery
from hub.core import stamps
from hub.errors import Retriable

ROWS, EDITORS, EDITS, REMOTE_EDITS = 4, 3, 40, 60
COMMUNES = ["11.321.01.03", "11.321.01.05", "11.321.01.07"]
PHONES = [f"+21261234567{n}" for n in range(4)]
NAMES = ["Zineb", "Zohra", "Fatima Zahra"]


class ModelHub:
    """The rules that matter here: the greatest stamp wins, every edit is answered."""

    def __init__(self, agency: Agency) -> None:
        self._agency = agency
        self._lock = threading.Lock()
        self.golden: dict[tuple[str, str], tuple[int, str, Any]] = {}
        self._seen: dict[str, int] = {}
        self._outbox: list[Delivery] = []

    def hear(self, change: Change) -> None:
        with self._lock:
            self._seen[change.local_id] = max(self._seen.get(change.local_id, 0), change.stamp)
            for name in change.changed:
                assertion = (change.stamp, "agency", change.values[name])
                key = (change.local_id, name)
                self.golden[key] = max(self.golden.get(key, (0, "", None)), assertion, key=lambda a: a[:2])
            self._answer(change.local_id)

    def edit(self, local_id: str, name: str, value: Any) -> None:
        """Another agency says something."""
        with self._lock:
            known = self.golden.get((local_id, name), (0, "", None))[0]
            stamp = stamps.capture(time.time_ns() // 1_000_000, known)
            self.golden[(local_id, name)] = (stamp, "other", value)
            self._answer(local_id)

    def _answer(self, local_id: str) -> None:
        held = {name: entry for (row, name), entry in self.golden.items() if row == local_id}
        self._outbox.append(
            self._agency.delivery(
                f"E{local_id}",
                {name: value for name, (_, _, value) in held.items()},
                local_id=local_id,
                stamp=max(stamp for stamp, _, _ in held.values()),
                seen=self._seen[local_id],
            )
        )

    def take(self) -> list[Delivery]:
        with self._lock:
            taken, self._outbox = self._outbox, []
            return taken


def retried(call: Any, *arguments: Any) -> Any:
    """As the runner and every program at work do: the database is busy, try again."""
    for _ in range(10_000):
        try:
            return call(*arguments)
        except (Retriable, psycopg.errors.LockNotAvailable, sqlite3.OperationalError):
            continue
    return pytest.fail("the database stays busy")


def work_at_a_desk(agency: Agency, rows: list[str], seed: int) -> None:
    chance, session = random.Random(seed), agency.session()
    mark = "%s" if agency.kind == "postgresql" else "?"
    for _ in range(EDITS):
        key = int(chance.choice(rows))
        statement, value = chance.choice(
            [
                (f"UPDATE {PERSON} SET numero = V, indicatif = '+212'", chance.choice(PHONES)[4:]),
                (f"UPDATE {PERSON} SET names = V", f"Alami, {chance.choice(NAMES)}"),
                (f"UPDATE {PERSON} SET cin = V", f"SH{chance.randrange(10**6)}"),
                ("UPDATE contact SET commune = V", chance.choice(COMMUNES)),
                (f"UPDATE {PERSON} SET notes = V", "x"),
            ]
        )
        column = "qui" if "contact" in statement else '"المعرف"'
        statement = f"{statement.replace('V', mark)} WHERE {column} = {mark}"
        retried(session.execute, statement, (value, key))
    session.close()


def work_elsewhere(hub: ModelHub, rows: list[str], seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(REMOTE_EDITS):
        name, values = chance.choice(
            [("phone", PHONES), ("given_name_fr", NAMES), ("commune", COMMUNES), ("cin", ["SH1", None])]
        )
        value = chance.choice(values)
        hub.edit(chance.choice(rows), name, f"SH{chance.randrange(10**6)}" if value == "SH1" else value)
        time.sleep(0.001)


@pytest.mark.parametrize("seed", [1, 2])
def test_edits_and_deliveries_at_once_converge(agency: Agency, seed: int) -> None:
    rows = [agency.add(cin=f"SH{n}") for n in range(ROWS)]
    for key in rows:
        agency.sql("INSERT INTO contact (qui, commune) VALUES (?, '11.321.01.03')", int(key))
    hub, stop, failed = ModelHub(agency), threading.Event(), []
    for change in agency.changes():
        hub.hear(change)

    def send() -> bool:
        batch = retried(agency.source.read, 20)
        if batch is None:
            return False
        for change in batch.changes:
            hub.hear(change)
        retried(agency.source.acknowledge, batch)
        return True

    def deliver() -> bool:
        deliveries = hub.take()
        retried(agency.sink.apply, Arrivals(deliveries))
        return bool(deliveries)

    def until_stopped(step: Any) -> None:
        try:
            while not stop.is_set():
                step()
        except BaseException as error:
            failed.append(error)

    sides = [threading.Thread(target=until_stopped, args=(step,)) for step in (send, deliver)]
    people = [
        threading.Thread(target=work_at_a_desk, args=(agency, rows, seed * 100 + n)) for n in range(EDITORS)
    ]
    people.append(threading.Thread(target=work_elsewhere, args=(hub, rows, seed)))
    for thread in (*sides, *people):
        thread.start()
    for thread in people:
        thread.join()
    stop.set()
    for thread in sides:
        thread.join()
    assert failed == []
    for _ in range(1000):
        agency.sink.db.execute("UPDATE {retry} SET next_at_ms = 0")
        agency.sink._waits = True
        if not any([send(), deliver(), bool(agency.sink.waiting())]):
            break
    for key in rows:
        cin, numero, names = agency.row(key, "cin", "numero", "names")
        commune = agency.sql("SELECT commune FROM contact WHERE qui = ?", int(key))[0][0]
        held = {
            "cin": cin,
            "phone": numero and f"+212{numero}",
            "given_name_fr": names.partition(", ")[2],
            "commune": commune,
        }
        believed = {name: hub.golden.get((key, name), (0, "", None))[2] for name in held}
        assert held == believed
