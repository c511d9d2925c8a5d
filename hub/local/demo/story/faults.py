"""Faults: bad records, and processes that die while edits flow."""

from __future__ import annotations

import threading
import time

from hub.contracts import topics
from hub.contracts.wire import frame
from hub.core import stamps
from hub.core.tokens import record_token
from hub.local.demo.story.people import (
    ADS_COMMUNE,
    ADS_PHONE,
    ENTRAIDE_PHONE,
    SET_ADS_PHONE,
    SET_ENTRAIDE_COMMUNE,
    Known,
    received,
)
from hub.local.demo.story.scene import Scene

_ENROL = """
    INSERT INTO inscription (numero, id_beneficiaire, id_centre, parcours, statut)
    SELECT :number, :person, min(id_centre), 'ORI', 'E' FROM centre
"""
_ENROLMENTS_AT_ENTRAIDE = """
    SELECT count(*) || '/' || count(DISTINCT "رقم_التسجيل") FROM "التسجيلات" WHERE "المستفيد" = :id
"""
_PEOPLE, _ROUNDS = 5, 24
_EVERY_S = 0.1
_KILL_AFTER = {6: "hub-0", 12: "connector-ads"}
_UNKNOWN_SCHEMA = 999_999


def bad_records(scene: Scene) -> None:
    """A home-made client writes rubbish, under the key of a real record, to where ADS's edits go."""
    known = received(scene, phone=scene.phone())
    scene.find("ads", ADS_PHONE, id=known.ads)
    topic = topics.changes("ads", "person")
    agency_key = scene.region.stack.folder.secret("agency-ads").encode()
    key = record_token(agency_key, "person", str(known.ads))
    scene.post.send_raw(topic, key, b"Bonjour, voici un fichier.")
    scene.post.send_raw(topic, key, frame(_UNKNOWN_SCHEMA, b"\x02\x04"))
    scene.post.send(topic, key, _invalid(scene, str(known.ads)))
    phone = scene.phone()
    scene.edit("ads", SET_ADS_PHONE, phone=phone, id=known.ads)
    scene.see("entraide", phone, ENTRAIDE_PHONE, id=known.entraide)
    wanted = {"undecodable", "unknown_schema_id", "invalid_value"}
    dead = scene.until(lambda: _complete(scene, wanted), f"ads.dlq: {', '.join(sorted(wanted))} expected")
    for one in dead:
        scene.remark(f"dead letter {one['code']}: {one['message']}")


def _complete(scene: Scene, wanted: set[str]) -> list[dict[str, str]]:
    dead = scene.post.dead_letters("ads")
    return dead if {one["code"] for one in dead} >= wanted else []


def _invalid(scene: Scene, local_id: str) -> dict[str, object]:
    fields = [spec.name for spec in scene.region.catalogue.records["person"].fields]
    return {
        "event_id": f"story-invalid-{local_id}",
        "local_id": local_id,
        "operation": "update",
        "stamp": stamps.at(time.time_ns() // 1_000_000),
        "changed": ["phone"],
        "record": dict.fromkeys(fields) | {"phone": "ask the neighbour"},
    }


def killed(scene: Scene) -> None:
    """Edits flow at two agencies while a hub worker and a connector are killed with SIGKILL."""
    people = [received(scene, phone=scene.phone()) for _ in range(_PEOPLE)]
    for known in people:
        scene.find("ads", ADS_PHONE, id=known.ads)
    phones = [[scene.phone() for _ in people] for _ in range(_ROUNDS)]
    numbers = [[scene.number() for _ in people] for _ in range(_ROUNDS)]
    communes = [scene.communes(1)[0] for _ in range(_ROUNDS)]
    edits = threading.Thread(
        target=lambda: _edit_on(scene, people, phones, numbers, communes), name="edits", daemon=True
    )
    edits.start()
    begun = time.monotonic()
    for after, process in _KILL_AFTER.items():
        # While edits flow, whatever the machine's speed: the thread takes at least this long.
        threading.Event().wait(max(0.0, begun + after * _EVERY_S - time.monotonic()))
        scene.region.stack.kill(process)
        scene.remark(f"{process}: SIGKILL")
    edits.join()
    scene.edited()
    for known, phone in zip(people, phones[-1], strict=True):
        scene.see("entraide", phone, ENTRAIDE_PHONE, id=known.entraide)
        scene.see("ads", communes[-1], ADS_COMMUNE, id=known.ads)
        scene.see("entraide", f"{_ROUNDS}/{_ROUNDS}", _ENROLMENTS_AT_ENTRAIDE, id=known.entraide)
    scene.remark(f"{3 * _ROUNDS * len(people)} edits and enrolments: none lost, none doubled")


def _edit_on(
    scene: Scene,
    people: list[Known],
    phones: list[list[str]],
    numbers: list[list[str]],
    communes: list[str],
) -> None:
    for round_ in range(_ROUNDS):
        for position, known in enumerate(people):
            scene.desk("ads").do(SET_ADS_PHONE, phone=phones[round_][position], id=known.ads)
            scene.desk("ads").do(_ENROL, number=numbers[round_][position], person=known.ads)
            scene.desk("entraide").do(SET_ENTRAIDE_COMMUNE, commune=communes[round_], id=known.entraide)
        time.sleep(_EVERY_S)
