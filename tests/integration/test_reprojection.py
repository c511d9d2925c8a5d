"""A reprojection beside live work (R17): an agreement narrows, a worker dies in it, people go on working."""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ops_hub import OpsHub, ops_hub, producing, running, wait_until
from sqlalchemy import create_engine
from support.changes import said

from hub import crash
from hub.contracts import topics
from hub.contracts.wire import read, unframe
from hub.core import stamps
from hub.local.ports import LOOPBACK, assign
from hub.local.stack import Stack
from hub.ops.log_reader import LogReader

PEOPLE = 1_200
AT_ONCE = 300
BORN = datetime.date(1990, 5, 1)
BEFORE, AFTER = "11.321.01.01", "11.321.01.03"
# After so many batches of the reprojection are published, the first worker dies.
BATCHES = 3
_ENDED = "SELECT FROM reprojection WHERE ended_at IS NOT NULL"


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    """Many people of entraide, whose telephone numbers ads may hold by the release of yesterday."""
    with ops_hub(stack, tmp_path_factory.mktemp("reprojection")) as made:
        with made.parts.store.begin() as tx:
            made.parts.joining.apply_terms(tx, made.parts.intake.day)
        for first in range(0, PEOPLE, AT_ONCE):
            made.take(*(_person(made, number) for number in range(first, first + AT_ONCE)))
        made.settle_due()
        made.outs.clear()
        yield made


def _person(hub: OpsHub, number: int) -> Any:
    values = {"cin": f"AB{number}", "phone": f"+2126{number:08}", "commune": BEFORE, "birth_date": BORN}
    return said(hub.key("entraide", str(number)), 1, "insert", **values)


def _narrowed(hub: OpsHub, folder: Path) -> Path:
    """The agreements of today, by which ads may hold no telephone number."""
    folder.mkdir()
    for path in Path(hub.environment["JISR_AGREEMENTS"]).iterdir():
        text = path.read_text(encoding="utf-8")
        if path.stem == "ads":
            assert "receives:\n  person: [{fields: [cin, " in text
            said_of, _, may_hold = text.partition("receives:")
            text = f"{said_of}receives:{may_hold.replace('phone, ', '')}"
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


def _told(hub: OpsHub) -> dict[int, list[tuple[bytes, dict[str, Any]]]]:
    """Partition → all that ads' inbox of people holds, in order: (key, projection)."""
    schema = hub.parts.events.projection(hub.parts.catalogue.records["person"])
    found = defaultdict(list)
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        for message in log.whole(topics.inbox(hub.name("ads"), "person")):
            assert message.value is not None
            found[message.partition].append((message.key, read(schema, unframe(message.value)[1])))
    return found


def _report(hub: OpsHub) -> dict[str, Any]:
    done = hub.run("agreement", "report", hub.name("ads"), "--json")
    assert done.returncode == 0, done.stderr
    (reprojection,) = json.loads(done.stdout)["reprojections"]
    return dict(reprojection)


class _People(threading.Thread):
    """People who move, one after the other, until told to stop; `moved`: how many have."""

    def __init__(self, hub: OpsHub) -> None:
        super().__init__(daemon=True)
        self._hub = hub
        self.moved = 0
        self.stop = threading.Event()

    def run(self) -> None:
        self.move(range(PEOPLE - 1))

    def move(self, numbers: Iterable[int]) -> None:
        with producing(self._hub.bootstrap) as send:
            for number in numbers:
                key = self._hub.key("entraide", str(number))
                change = self._hub.say(key, stamps.at(time.time_ns() // 1_000_000), "update", commune=AFTER)
                send(topics.changes(key.agency, "person"), key.local_id.encode(), change)
                self.moved += 1
                if self.stop.wait(0.01):
                    return


def test_a_reprojection_goes_on_after_a_death_and_live_changes_pass_it(hub: OpsHub, tmp_path: Path) -> None:
    (tmp_path / "crashes").mkdir()
    environment = {
        **hub.environment,
        "JISR_AGREEMENTS": str(_narrowed(hub, tmp_path / "narrowed")),
        crash.VARIABLE: str(tmp_path / "crashes"),
    }
    crash.arm(tmp_path / "crashes", "publication.acknowledged", BATCHES)
    with running(["hub"], {**environment, "JISR_WEB_PORT": str(_port())}, tmp_path) as worker:
        worker.wait(120)
    left = hub.rows("SELECT count(*) FROM due")[0][0]
    assert 0 < left < PEOPLE
    begun = _report(hub)
    assert (begun["why"], begun["entities"], begun["ended_at"]) == ("agreement", PEOPLE, None)

    people, port = _People(hub), _port()
    with running(["hub"], {**environment, "JISR_WEB_PORT": str(port)}, tmp_path) as worker:
        # Nobody settles the rest until this worker answers what people say.
        with _nothing_taken(hub):
            wait_until(lambda: httpx.get(f"http://{LOOPBACK}:{port}/readyz").status_code == 200, worker)
            people.move([PEOPLE - 1])
            wait_until(lambda: _moved_at_ads(hub), worker)
            people.start()
        wait_until(lambda: hub.rows(_ENDED), worker, 240)
        people.stop.set()
        people.join()
        wait_until(lambda: _moved_at_ads(hub) == people.moved, worker)

    told = _told(hub)
    last = {key: projection for words in told.values() for key, projection in words}
    assert len(last) == PEOPLE
    assert [one for one in last.values() if "phone" in one["fields"]] == []
    for words in told.values():
        versions: dict[bytes, int] = {}
        for key, projection in words:
            assert versions.get(key, 0) <= projection["version"]
            versions[key] = projection["version"]
    assert any(_interleaved(words) for words in told.values())
    done = _report(hub)
    assert done["due"] == 0
    # Each once, whoever died and whatever was said meanwhile.
    where = {"agency": hub.name("ads"), "record_type": "person", "begun": 0, "ended": 0, "unknown": 0}
    assert done["changes"] == [{**where, "told": {}, "taken_back": {"phone": PEOPLE}}]


@contextmanager
def _nothing_taken(hub: OpsHub) -> Iterator[None]:
    """What is due is in other hands, and passed over."""
    engine = create_engine(hub.parts.settings.store_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT FROM due FOR UPDATE")
        yield
    engine.dispose()


def _port() -> int:
    return assign(["worker"], {})["worker"]


def _moved_at_ads(hub: OpsHub) -> int:
    last = {key: projection for words in _told(hub).values() for key, projection in words}
    return sum(one["record"]["commune"] == AFTER for one in last.values())


def _interleaved(words: list[tuple[bytes, dict[str, Any]]]) -> bool:
    """Whether what people said was answered between two batches of the second worker's reprojection."""
    moved = [number for number, (_, one) in enumerate(words) if one["record"]["commune"] == AFTER]
    # What the first worker settled stands before anybody moved.
    again = [
        number
        for number, (_, one) in enumerate(words)
        if one["record"]["commune"] == BEFORE and moved and number > moved[0]
    ]
    return any(again[0] < here < again[-1] for here in moved if again)
