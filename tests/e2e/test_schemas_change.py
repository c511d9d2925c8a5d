"""Contracts, mappings, code lists and tables change under people who work, on the real stack.

Judged from outside: by the agencies' tables, and by what stands on the topics.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Engine, create_engine, text

from hub.contracts import wire
from hub.contracts.registry_client import RegistryClient
from hub.local.stack import PROJECT, AgencyDatabase, Endpoints, Stack, StackOptions

# A loaded machine is slow; nothing here is about time.
WITHIN_S = 180.0
JISR = [sys.executable, "-c", "from hub.cli import main; main()"]
AGENCIES = ("left", "right")


def field(name: str, kind: Any = "string", **more: Any) -> dict[str, Any]:
    docs = {"doc": name, "doc_ar": "حقل", "doc_fr": name}
    return {"name": name, "type": ["null", kind], "default": None, "authority": ["*"], "privacy": "none"} | {
        **docs,
        **more,
    }


def codes(*names: str) -> dict[str, dict[str, str]]:
    return {name: {"ar": "رمز", "fr": name, "en": name} for name in names}


WORKSHOP: dict[str, Any] = {
    "type": "record",
    "name": "workshop",
    "namespace": "ma.jisr.records",
    "doc": "A workshop.",
    "doc_ar": "ورشة.",
    "doc_fr": "Un atelier.",
    "fields": [
        field("code", natural_key=True),
        field("title_ar"),
        field("seats", "int"),
        field("level", codes=codes("first", "second")),
    ],
}
ROOM = field("room")

AGREEMENT = """
agency: {agency}
name: {{ar: "{agency}", fr: "{agency}", en: "{agency}"}}
until: 2099-12-31
publishes:
  workshop: [{fields}]
receives:
  workshop:
    fields: [{fields}]
    purpose: training
    legal_basis: public-mission
    create: true
"""
OLD_FIELDS = "code, title_ar, seats, level"

LEFT = """
agency: left
records:
  workshop:
    tables:
      - table: ورشات
        key: الرقم
        fields:
          code: الرمز
          title_ar: العنوان
          seats: المقاعد
          level: {column: المستوى, codes: {"1": first, "2": second}}
"""
RIGHT = """
agency: right
records:
  workshop:
    tables:
      - table: atelier
        key: id
        fields:
          code: code
          title_ar: intitule
          seats: places
          level: {column: niveau, codes: {A: first, B: second}}
"""
TABLES = {
    "left": 'CREATE TABLE "ورشات" ("الرقم" serial PRIMARY KEY, "الرمز" text, "العنوان" text, '
    '"المقاعد" int, "المستوى" text, "القاعة" text)',
    "right": "CREATE TABLE atelier (id serial PRIMARY KEY, code text, intitule text, places int, "
    "niveau text, salle text)",
}
SEEN = {
    "left": 'SELECT "الرمز", "العنوان", "المقاعد", "المستوى", "القاعة" FROM "ورشات" ORDER BY 1',
    "right": "SELECT code, intitule, places, niveau, salle FROM atelier ORDER BY 1",
}


class Programme:
    """A release in files that can be changed, the stack that runs by it, and both agencies' people."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.schemas = home / "schemas"
        shutil.copytree(PROJECT / "schemas", self.schemas)
        for folder in ("agreements", "connectors"):
            (home / folder).mkdir()
        self.contract(WORKSHOP)
        self.agree(OLD_FIELDS)
        self.map("left", LEFT)
        self.map("right", RIGHT)
        self.stack = Stack(
            StackOptions(
                home=home / "data",
                agencies=[AgencyDatabase(name) for name in AGENCIES],
                processes="full",
                hub_workers=2,
                schemas=self.schemas,
                agreements=home / "agreements",
                connectors=home / "connectors",
                populate=self._populate,
            )
        )

    def contract(self, schema: dict[str, Any]) -> None:
        file = self.schemas / "records" / "workshop.avsc"
        file.write_text(json.dumps(schema), encoding="utf-8")

    def agree(self, fields: str) -> None:
        for agency in AGENCIES:
            file = self.home / "agreements" / f"{agency}.yaml"
            file.write_text(AGREEMENT.format(agency=agency, fields=fields), encoding="utf-8")

    def map(self, agency: str, mapping: str) -> None:
        (self.home / "connectors" / f"{agency}.yaml").write_text(mapping, encoding="utf-8")

    def _populate(self, endpoints: Endpoints) -> None:
        for agency, ddl in TABLES.items():
            with create_engine(endpoints.agencies[agency]).begin() as connection:
                connection.execute(text(ddl))

    def schema(self, command: str) -> subprocess.CompletedProcess[str]:
        """`jisr schema …` with this release."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("JISR_")},
            "JISR_SCHEMAS": str(self.schemas),
            "JISR_AGREEMENTS": str(self.home / "agreements"),
            "JISR_REGISTRY_URL": str(self.stack.endpoints.registry),
            "JISR_REGISTRY_TOKEN_FILE": str(self.stack.folder.secret_file("registry-token")),
        }
        words = [*JISR, "schema", *command.split()]
        return subprocess.run(
            words, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=WITHIN_S
        )

    def register(self) -> str:
        """What it says."""
        done = self.schema("register")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def engine(self, agency: str) -> Engine:
        return create_engine(self.stack.endpoints.agencies[agency])

    def run(self, agency: str, statement: str) -> list[tuple[Any, ...]]:
        with self.engine(agency).begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def comes_to(self, agency: str, *rows: tuple[Any, ...]) -> None:
        until(lambda: self.run(agency, SEEN[agency]) == list(rows), lambda: self.run(agency, SEEN[agency]))

    def messages(self, ending: str) -> Iterator[tuple[str, bytes | None, dict[str, Any]]]:
        """(topic, key, event) of all that stands on topics of this kind, oldest first in each partition."""
        registry, schemas = RegistryClient(str(self.stack.endpoints.registry)), {}
        consumer = KafkaConsumer(bootstrap_servers=self.stack.endpoints.bootstrap)
        try:
            names = [name for name in consumer.topics() if name.endswith(ending)]
            places = [TopicPartition(n, p) for n in names for p in consumer.partitions_for_topic(n) or ()]
            ends = consumer.end_offsets(places)
            for place in sorted(place for place in places if ends[place]):
                consumer.assign([place])
                consumer.seek_to_beginning(place)
                while consumer.position(place) < ends[place]:
                    for record in consumer.poll(1_000).get(place, ()):
                        number, body = wire.unframe(record.value)
                        if number not in schemas:
                            schemas[number] = fastavro.parse_schema(registry.schema_by_id(number))
                        yield record.topic, record.key, wire.read(schemas[number], body)
        finally:
            consumer.close()


def until(holds: Callable[[], bool], found: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s; found {found()}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def programme() -> Iterator[Programme]:
    home = Path(tempfile.mkdtemp(prefix="jisr-change-"))
    try:
        made = Programme(home)
        with made.stack:
            yield made
    finally:
        shutil.rmtree(home, ignore_errors=True)


def widened(authority: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    """The next release's contract: one more field, and another authority over the seats."""
    schema = copy.deepcopy(WORKSHOP)
    schema["fields"].append(ROOM)
    schema["fields"][2]["authority"] = list(authority)
    return schema


def test_contracts_mappings_codes_and_tables_change_while_people_work(programme: Programme) -> None:
    p, stack = programme, programme.stack
    p.run("left", """INSERT INTO "ورشات" VALUES (DEFAULT, 'W-1', 'الخياطة', 12, '1', 'قاعة 1')""")
    p.run("left", """INSERT INTO "ورشات" VALUES (DEFAULT, 'W-2', 'النسيج', 8, '2', NULL)""")
    p.comes_to("right", ("W-1", "الخياطة", 12, "A", None), ("W-2", "النسيج", 8, "B", None))

    # A field more: the release is registered, and workers begin by it one after the other. The connectors
    # are of the old one, and people go on.
    p.contract(widened())
    p.agree(OLD_FIELDS + ", room")
    p.register()
    stack.restart("hub-0")
    p.run("right", "UPDATE atelier SET places = 13 WHERE code = 'W-1'")
    p.run("left", """UPDATE "ورشات" SET "العنوان" = 'الحياكة' WHERE "الرمز" = 'W-2'""")
    p.comes_to("left", ("W-1", "الخياطة", 13, "1", "قاعة 1"), ("W-2", "الحياكة", 8, "2", None))
    stack.restart("hub-1")

    # The left agency's mapping gains its column: what stood there all the time is said. The right one's
    # connector is of the old release still: it holds what it can, and its neighbours are not held up.
    p.map("left", LEFT + "          room: القاعة\n")
    stack.restart("connector-left")
    until(
        lambda: any(
            (e["record"] or {}).get("room") == "قاعة 1" for _, _, e in p.messages("right.workshop.inbox")
        ),
        lambda: "no projection with the room",
    )
    p.run("left", """UPDATE "ورشات" SET "المقاعد" = 9 WHERE "الرمز" = 'W-2'""")
    p.comes_to("right", ("W-1", "الخياطة", 13, "A", None), ("W-2", "الحياكة", 9, "B", None))
    # Then the right one's: what people had there is heard of first, and what was told long ago is written.
    p.run("right", "UPDATE atelier SET salle = 'Salle 2' WHERE code = 'W-2'")
    p.map("right", RIGHT + "          room: salle\n")
    stack.restart("connector-right")
    p.comes_to("right", ("W-1", "الخياطة", 13, "A", "قاعة 1"), ("W-2", "الحياكة", 9, "B", "Salle 2"))
    p.comes_to("left", ("W-1", "الخياطة", 13, "1", "قاعة 1"), ("W-2", "الحياكة", 9, "2", "Salle 2"))

    # Another authority: what is known is computed anew, and the receivers come to the new winner.
    p.run("right", "UPDATE atelier SET places = 20 WHERE code = 'W-1'")
    p.run("left", """UPDATE "ورشات" SET "المقاعد" = 30 WHERE "الرمز" = 'W-1'""")
    p.comes_to("right", ("W-1", "الخياطة", 30, "A", "قاعة 1"), ("W-2", "الحياكة", 9, "B", "Salle 2"))
    p.contract(widened(("right", "*")))
    assert "workshop.seats: authority changes" in p.register()
    stack.restart("hub-0")
    stack.restart("hub-1")
    p.comes_to("left", ("W-1", "الخياطة", 20, "1", "قاعة 1"), ("W-2", "الحياكة", 9, "2", "Salle 2"))
    p.comes_to("right", ("W-1", "الخياطة", 20, "A", "قاعة 1"), ("W-2", "الحياكة", 9, "B", "Salle 2"))

    # A column gets another name: the agency's own writes go on, the connector ends and says why, and goes
    # on once the mapping is right; what was typed meanwhile is not lost, nor is anything said to be empty.
    p.run("right", "ALTER TABLE atelier RENAME COLUMN places TO capacite")
    p.run("right", "UPDATE atelier SET capacite = 21 WHERE code = 'W-1'")
    p.run("right", "INSERT INTO atelier (code, intitule, capacite, niveau) VALUES ('W-3', 'الطبخ', 5, 'A')")
    log = stack.folder.logs / "connector-right.log"
    until(lambda: "has no column 'places'" in log.read_text(), lambda: log.read_text()[-2_000:])
    assert "right.yaml:11:" in log.read_text()
    p.map("right", RIGHT.replace("seats: places", "seats: capacite") + "          room: salle\n")
    p.comes_to(
        "left",
        ("W-1", "الخياطة", 21, "1", "قاعة 1"),
        ("W-2", "الحياكة", 9, "2", "Salle 2"),
        ("W-3", "الطبخ", 5, "1", None),
    )

    # A code list is mended at the left: what it said by it means something else, and what was written there
    # by it is written anew.
    p.map(
        "left",
        LEFT.replace('"1": first, "2": second', '"1": second, "3": first') + "          room: القاعة\n",
    )
    stack.restart("connector-left")
    until(
        lambda: [row[3] for row in p.run("left", SEEN["left"])] == ["1", "2", "3"],
        lambda: p.run("left", SEEN["left"]),
    )
    until(
        lambda: (
            [
                row[3]
                for row in p.run("right", "SELECT code, intitule, capacite, niveau FROM atelier ORDER BY 1")
            ]
            == ["B", "B", "A"]
        ),
        lambda: p.run("right", "SELECT code, niveau FROM atelier ORDER BY 1"),
    )

    # From outside: nobody's reader ever saw a version go back, nothing was said to be empty, nothing is dead.
    versions: dict[tuple[str, bytes | None], int] = {}
    for topic, key, event in p.messages(".inbox"):
        assert event["version"] >= versions.get((topic, key), 0)
        versions[topic, key] = event["version"]
    for topic, _, event in p.messages(".workshop.changes"):
        emptied = [name for name in event["changed"] if (event["record"] or {}).get(name) is None]
        assert emptied == [], f"{topic}: {event['local_id']} said to be empty: {emptied}"
    assert list(p.messages(".dlq")) == []


def test_an_unsafe_release_is_refused_with_the_reason_and_the_way(programme: Programme) -> None:
    def refused(change: Callable[[dict[str, dict[str, Any]]], object]) -> str:
        schema = widened(("right", "*"))
        change({one["name"]: one for one in schema["fields"]})
        programme.contract(schema)
        done = programme.schema("register")
        assert done.returncode != 0
        return done.stdout + done.stderr

    try:
        said = refused(lambda fields: fields["seats"].update(merge="max"))
        assert "workshop.seats: merge latest → max: it never changes; add a new field" in said
        said = refused(lambda fields: fields["seats"].update(type=["null", "string"]))
        assert "workshop" in said
        assert "seats" in said
        assert "add a new field" in said
        said = refused(lambda fields: fields["level"].update(codes=codes("first")))
        assert "workshop.level: codes second are gone, and records have them: keep them" in said
    finally:
        programme.contract(widened(("right", "*")))
