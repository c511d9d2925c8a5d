"""The commands beside a running worker: what they tell comes true, what a person decides is published."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fastavro
import pytest
from dead_letter_desk import wider
from ops_hub import OpsHub, ops_hub, producing, running, wait_until
from support import plain_http

from hub.contracts import topics
from hub.contracts.wire import frame, write
from hub.core import stamps
from hub.core.assertions import RecordKey
from hub.local.ports import LOOPBACK, assign
from hub.local.stack import Stack
from hub.ops.case import CaseReader
from hub.ops.explain_view import as_json
from hub.ops.holds import Holds
from hub.ops.log_reader import LogReader
from hub.ops.reviews import Reviews
from hub.ops.status import StatusReader
from hub.ops.veil import Veil

BORN = datetime.date(1990, 5, 1)


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    """A hub with one worker; its agencies are this test's own hands."""
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder, joining=["region"]) as made:
        port = assign(["worker"], {})["worker"]
        environment = {**made.environment, "JISR_WEB_PORT": str(port)}
        with running(["hub"], environment, folder) as worker:
            wait_until(lambda: plain_http.get(f"http://{LOOPBACK}:{port}/readyz").status_code == 200, worker)
            yield made


def say(hub: OpsHub, record: RecordKey, operation: str = "insert", **values: Any) -> None:
    topic = topics.changes(record.agency, record.record_type)
    with producing(hub.bootstrap) as send:
        stamp = stamps.at(time.time_ns() // 1_000_000)
        send(topic, record.local_id.encode(), hub.say(record, stamp, operation, **values))


def acknowledge(hub: OpsHub, agency: str, exceptions: tuple[dict[str, Any], ...] = ()) -> None:
    """The agency's side has applied all that its inbox of people holds, but for the exceptions."""
    schema = hub.parts.events.plain("receipt")
    name = hub.name(agency)
    schema_id = hub.parts.registry.lookup(topics.subject(topics.receipts(name)), schema)
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        places, _ = log.places([topics.inbox(name, "person")])
        ends = log.ends(places)
    with producing(hub.bootstrap) as send:
        for (topic, partition), end in ends.items():
            value = {
                "topic": topic,
                "partition": partition,
                "offset": end,
                "committed_ms": time.time_ns() // 1_000_000,
                "exceptions": list(exceptions),
            }
            body = write(fastavro.parse_schema(schema), value)
            send(topics.receipts(name), f"{topic}-{partition}".encode(), frame(schema_id, body))


def settled(hub: OpsHub, *agencies: str) -> None:
    """Wait until everything is converged; these agencies acknowledge what they get."""

    with closing(LogReader(hub.parts.settings.kafka)) as log:
        looking = StatusReader(hub.parts, log)

        def at_rest() -> bool:
            for agency in agencies:
                acknowledge(hub, agency)
            return looking.wait_at_rest(2)

        wait_until(at_rest)


def explained(hub: OpsHub, name: str, *, reveal: bool = False) -> dict[str, Any]:
    """What `jisr explain NAME --json` prints."""
    case = CaseReader(hub.parts, Veil(reveal=reveal)).read(name, None, "person")
    found: dict[str, Any] = json.loads(json.dumps(as_json(case)))
    assert found["problems"] == []
    return found


def known(hub: OpsHub, record: RecordKey) -> bool:
    with hub.parts.looking() as tx:
        return hub.parts.ids.record(*record) in tx.records({hub.parts.ids.record(*record)}).records


def field(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["explanation"]["fields"] if one["name"] == name)


def test_a_change_is_followed_to_its_acknowledgement(hub: OpsHub) -> None:
    record = hub.key("entraide", "1")
    say(hub, record, cin="SH1", birth_date=BORN, family_name_fr="Alaoui")
    ads = hub.name("ads")
    wait_until(lambda: known(hub, record))
    wait_until(lambda: explained(hub, f"{record.agency}:1")["deliveries"][ads]["state"] == "pending")

    settled(hub, "ads", "entraide")

    result = hub.run("explain", "1", "--agency", record.agency, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    delivery = found["deliveries"][ads]
    assert (delivery["state"], delivery["sent"]["operation"], delivery["sent"]["version"]) == (
        "acknowledged",
        "upsert",
        1,
    )
    assert set(delivery["sent"]["fields"]) == {"cin", "birth_date", "family_name_fr"}
    assert found["deliveries"][hub.name("health")]["state"] == "nothing sent"
    status = json.loads(hub.run("status", "--json").stdout)
    mine = next(o for o in status["standings"] if (o["agency"], o["record_type"]) == (ads, "person"))
    assert (mine["entitled"], mine["converged"]) == (1, 1)


def test_a_refused_delivery_is_told_with_its_column(hub: OpsHub) -> None:
    record = hub.key("entraide", "2")
    say(hub, record, cin="SH2", birth_date=BORN)
    wait_until(lambda: known(hub, record))
    ads = hub.name("ads")
    found = explained(hub, f"{record.agency}:2")
    name = next(one["name"] for one in found["explanation"]["agencies"] if one["agency"] == ads)
    refusal = {"entity": name, "version": 1, "state": "refused", "code": "not_null", "column": "tel"}
    acknowledge(hub, "ads", (refusal,))
    wait_until(lambda: explained(hub, f"{record.agency}:2")["deliveries"][ads]["state"] == "refused")
    text = hub.run("explain", f"{record.agency}:2").stdout
    assert "version 1 refused: not_null in column tel" in text
    acknowledge(hub, "ads", ({**refusal, "state": "resolved"},))
    settled(hub, "ads", "entraide")


def test_values_are_shown_in_full_only_on_demand_and_with_a_trace(hub: OpsHub) -> None:
    record = hub.key("entraide", "3")
    say(hub, record, cin="SH33333", birth_date=BORN, family_name_fr="Bennani")
    wait_until(lambda: known(hub, record))
    covered = hub.run("explain", f"{record.agency}:3")
    assert "Bennani" not in covered.stdout
    assert "SH33333" not in covered.stdout
    assert covered.stderr == ""
    refused = hub.run("explain", f"{record.agency}:3", "--reveal", "--who", "Salma")
    assert (refused.returncode, refused.stdout) == (2, "")
    shown = hub.run("explain", f"{record.agency}:3", "--reveal", "--who", "Salma", "--purpose", "she asks")
    assert "Bennani" in shown.stdout
    assert "shown in full: `jisr audit list` keeps it" in shown.stderr
    assert "revealed" in shown.stderr
    kept = json.loads(hub.run("audit", "list", "--action", "reveal", "--json").stdout)
    subject = f"person {explained(hub, f'{record.agency}:3')['explanation']['entity']}"
    assert [(one["who"], one["subject"], one["purpose"]) for one in kept] == [("Salma", subject, "she asks")]


def test_a_released_hold_is_published_by_the_worker(hub: OpsHub) -> None:
    record = hub.key("entraide", "4")
    say(hub, record, cin="SH4", birth_date=BORN)
    wait_until(lambda: known(hub, record))
    say(hub, record, "update", cin="SH44")

    def holds() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(hub.run("hold", "list", "--json").stdout)
        return [one for one in found if one["local_id"] == "4"]

    wait_until(lambda: Holds(hub.parts).list(record.agency))
    number = str(holds()[0]["id"])
    found = explained(hub, f"{record.agency}:4")
    assert [one["reason"] for one in found["holds"]] == ["identifier_changed"]
    assert [(one["kind"], one["reason"]) for one in found["notices"]] == [("held", "identifier_changed")]
    assert "E•••" not in hub.run("hold", "show", number).stdout
    revealing = ["--reveal", "--who", "Salma", "--purpose", "to decide"]
    assert "SH44 waits" in hub.run("hold", "show", number, *revealing).stdout
    assert hub.rows("SELECT who FROM audit WHERE subject = %s", f"hold {number}")[0].who == "Salma"

    released = hub.run("hold", "release", number, "--who", "Salma", "--why", "a new card")
    assert released.returncode == 0, released.stderr
    assert "released" in released.stdout

    ads = hub.name("ads")
    wait_until(lambda: explained(hub, f"{record.agency}:4")["deliveries"][ads]["sent"]["version"] > 1)
    settled(hub, "ads", "entraide")
    found = explained(hub, f"{record.agency}:4", reveal=True)
    assert field(found, "cin")["value"] == "SH44"
    again = hub.run("hold", "release", number, "--who", "Driss", "--why", "again")
    assert (again.returncode, again.stdout) == (0, f"hold {number} had been released before\n")


def test_a_decision_is_published_by_the_worker(hub: OpsHub) -> None:
    ads, entraide = hub.key("ads", "5"), hub.key("entraide", "5")
    say(hub, ads, cin="SH5", given_name_fr="Zineb", family_name_fr="Alami")
    say(hub, entraide, cin="SH5", given_name_fr="Karim", family_name_fr="Idrissi")

    def reviews() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(hub.run("review", "list", "--json").stdout)
        return [one for one in found if one["a"]["local_id"] == "5"]

    wait_until(lambda: Reviews(hub.parts).list())
    review = reviews()[0]
    names = [review["a"]["record"], review["b"]["record"]]
    decided = hub.run("review", "same", *names, "--who", "Salma", "--why", "met her")
    assert decided.returncode == 0, decided.stderr
    assert decided.stdout.startswith("decided: same")
    settled(hub, "ads", "entraide")

    found = explained(hub, f"{ads.agency}:5")
    assert len(found["explanation"]["members"]) == 2
    assert found["explanation"]["entity"] == explained(hub, f"{entraide.agency}:5")["explanation"]["entity"]
    merged = next(name for name in names if name != found["explanation"]["entity"])
    told = explained(hub, merged)
    assert told["explanation"]["merged"] == merged
    assert not reviews()
    parted = hub.run("review", "different", *names, "--who", "Salma", "--why", "her sister")
    assert parted.stdout.startswith("decided: different")
    settled(hub, "ads", "entraide")
    assert len(explained(hub, f"{ads.agency}:5")["explanation"]["members"]) == 1


def test_a_dead_letter_is_told_with_the_record_that_it_speaks_of(hub: OpsHub) -> None:
    record = hub.key("entraide", "6")
    say(hub, record, cin="SH6", birth_date=BORN)
    wait_until(lambda: known(hub, record))
    say(hub, record, "update", phone="0612")
    wait_until(lambda: explained(hub, f"{record.agency}:6")["dead_letters"])
    letter = explained(hub, f"{record.agency}:6")["dead_letters"][0]
    assert (letter["local_id"], letter["code"], letter["path"]) == ("6", "invalid_value", "phone")
    other = explained(hub, f"{record.agency}:1")
    assert other["dead_letters"] == []
    assert f"`jisr dlq show {letter['number']}`" in hub.run("explain", f"{record.agency}:6").stdout


def test_a_redriven_dead_letter_is_published_by_the_worker(hub: OpsHub, tmp_path: Path) -> None:
    record, ads = hub.key("entraide", "7"), hub.name("ads")
    say(hub, record, cin="SH7", birth_date=BORN)
    wait_until(lambda: known(hub, record))
    say(hub, record, "update", phone="0612345678")
    wait_until(lambda: explained(hub, f"{record.agency}:7")["dead_letters"])
    number = str(explained(hub, f"{record.agency}:7")["dead_letters"][0]["number"])
    with wider(hub, tmp_path) as mended:
        foreseen = json.loads(mended.run("dlq", "redrive", "--preview", "--json", number).stdout)[0]
        assert ads in foreseen["told"]
        done = mended.run("dlq", "redrive", number, "--who", "Salma", "--why", "the release takes them")
        assert (done.returncode, f"dead letter {number}: applied" in done.stdout) == (0, True), done.stderr
    settled(hub, "ads", "entraide")
    found = explained(hub, f"{record.agency}:7")
    assert found["dead_letters"] == []
    assert "phone" in found["deliveries"][ads]["sent"]["fields"]
    assert found["deliveries"][ads]["state"] == "acknowledged"


def test_without_kafka_and_registry_the_store_still_explains(hub: OpsHub) -> None:
    agency = hub.name("entraide")
    result = hub.run("explain", f"{agency}:1", "--json", JISR_BOOTSTRAP="127.0.0.1:1")
    assert result.returncode == 0
    found = json.loads(result.stdout)
    assert field(found, "cin")["rule"] == "the only one with a say"
    assert found["deliveries"][hub.name("ads")]["state"] == "unknown"
    assert "Kafka at 127.0.0.1:1 does not answer" in found["problems"][0]
