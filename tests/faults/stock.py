"""Whoever writes to Kafka without our connectors: a stock client with a wrong clock, poison, repetitions."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import fastavro
from kafka import KafkaProducer

from connectors.settings import read_agency_key
from faults.kafka_log import read_topics
from faults.ledger import Entry, Ledger, Place
from faults.schedule import Step
from hub.contracts import topics
from hub.contracts.registry_client import RegistryClient
from hub.contracts.wire import frame, write
from hub.core.tokens import record_token
from hub.local.demo.region import Region
from hub.local.demo.story.scene import Newcomer

_WITHIN_S = 60
_REPEATED = 20
_UNKNOWN_SCHEMA = 999_999
_YOUTH = "youth"


class Stock:
    """Produces, and waits for each acknowledgement."""

    def __init__(self, region: Region, ledger: Ledger) -> None:
        self._region = region
        self._ledger = ledger
        self._registry = RegistryClient(region.registry_url)
        self._producer = KafkaProducer(
            bootstrap_servers=region.bootstrap, acks="all", delivery_timeout_ms=_WITHIN_S * 1_000
        )
        # CIN → (local id, highest stamp said), of the people of whom it spoke.
        self._spoken: dict[str, tuple[str, int]] = {}

    def close(self) -> None:
        self._producer.close(timeout=1)
        self._registry.close()

    def send(self, topic: str, key: str | bytes | None, value: bytes | None) -> Place:
        raw = key.encode() if isinstance(key, str) else key
        done = self._producer.send(topic, key=raw, value=value).get(_WITHIN_S)
        return topic, done.partition, done.offset

    def say(self, agency: str, record_type: str, change: dict[str, Any]) -> Place:
        """One change in the agency's name, framed as the contract wants it."""
        topic = topics.changes(agency, record_type)
        schema = self._region.events.change(self._region.catalogue.records[record_type])
        schema_id = self._registry.lookup(topics.subject(topic), schema)
        body = write(fastavro.parse_schema(schema), change)
        key = record_token(self._key(agency), record_type, change["local_id"])
        return self.send(topic, key, frame(schema_id, body))

    def _key(self, agency: str) -> bytes:
        return read_agency_key(self._region.stack.folder.secret_file(f"agency-{agency}"))

    def speak(self, step: Step, who: Newcomer) -> None:
        """The youth services tell of somebody, by a clock that is hours off."""
        local_id, known = self._spoken.get(who.cin, (f"y{step.serial}", 0))
        hours = int(step.what.removesuffix("h"))
        stamp = max((time.time_ns() // 1_000_000 + hours * 3_600_000) << 16, known + 1)
        said: dict[str, Any] = {"phone": f"+2127{step.serial:08d}"}
        if not known:
            said |= {
                "cin": who.cin,
                "family_name_fr": who.family_fr,
                "given_name_fr": who.given_fr,
                "birth_date": who.birth,
                "sex": who.sex,
            }
        operation = "update" if known else "insert"
        self.say(_YOUTH, "person", _change(f"youth-{step.serial}", local_id, operation, stamp, said))
        self._spoken[who.cin] = local_id, stamp
        self._ledger.note(Entry(_YOUTH, "person", local_id, operation, said))

    def poison(self, step: Step, local_id: str) -> None:
        """A message that nobody can use, under the key of one of ADS's people."""
        topic, key = topics.changes("ads", "person"), record_token(self._key("ads"), "person", local_id)
        if step.what == "invalid":
            said = {"phone": "ask the neighbour"}
            change = _change(f"poison-{step.serial}", local_id, "update", time.time_ns() // 10**6 << 16, said)
            place = self.say("ads", "person", change)
        elif step.what == "unknown_schema":
            place = self.send(topic, key, frame(_UNKNOWN_SCHEMA, b"\x02\x04"))
        else:
            place = self.send(topic, key, b"Bonjour, voici un fichier.")
        self._ledger.poison.add(place)

    def repeat(self, step: Step) -> None:
        """Messages that were there before come again, in any order, after all that came since."""
        names = [
            topics.changes(agency, kind) if step.what == ".changes" else topics.inbox(agency, kind)
            for agency, agreement in self._region.agreements.items()
            for kind in agreement.record_types
        ]
        log = read_topics(self._region.bootstrap, names)
        rng = Random(step.number)
        there = [one for name in sorted(log) for one in log[name] if one.value is not None]
        for one in rng.sample(there, min(_REPEATED, len(there))):
            place = self.send(one.topic, one.key, one.value)
            if (one.topic, one.partition, one.offset) in self._ledger.poison:
                self._ledger.poison.add(place)


def _change(event_id: str, local_id: str, operation: str, stamp: int, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "local_id": local_id,
        "operation": operation,
        "stamp": stamp,
        "changed": sorted(said),
        "record": said,
    }
