"""What intake takes from a topic: rules R2, R3, R4, R6, R10 and R27 where messages are read."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from support.changes import encoded, minute, record_id
from support.contracts import CATALOGUE, EVENTS, IDS, TERMS
from support.messages import APPENDED_MS, SCHEMA_IDS, message, reading, schema_of

from hub.contracts.wire import MAX_ITEMS, MAX_MESSAGE_BYTES, frame
from hub.core import stamps
from hub.core.assertions import Change, RecordKey
from hub.lanes.reading import MAX_ID, DeadLetter, Message, Reading

ENTITY = record_id(RecordKey("entraide", "person", "1", 0))


def one(the_message: Message) -> Change:
    done = reading().read([the_message])
    assert done.dead == []
    ((change, kept),) = done.changes
    assert kept is the_message
    return change


def dead(the_message: Message) -> DeadLetter:
    done = reading().read([the_message])
    assert done.changes == []
    (letter,) = done.dead
    assert letter.message is the_message
    return letter


def test_a_whole_change_is_read() -> None:
    born = datetime.date(1990, 1, 1)
    change = one(
        message(
            event_id="e7",
            local_id="42",
            incarnation=2,
            stamp=minute(1, 3),
            changed=["cin", "birth_date", "phone", "languages"],
            removed={"languages": ["fr"], "modules": ["ignored"]},
            record={"cin": " SH1 ", "birth_date": born, "languages": ["ar"], "sex": "male"},
            entity=IDS.pairwise("entraide").name(ENTITY),
            actor="import-7",
        )
    )
    assert change == Change(
        key=RecordKey("entraide", "person", "42", 2),
        operation="update",
        stamp=minute(1, 3),
        effective=minute(1, 3),
        event_id="e7",
        # Normalised; `phone` is in the mask without a value; `sex` is not in the mask (R3).
        values={"cin": encoded("person", "cin", "SH1"), "birth_date": encoded("person", "birth_date", born),
                "phone": None},
        added={"languages": [encoded("person", "languages", "ar")]},
        removed={"languages": [encoded("person", "languages", "fr")]},
        entity=ENTITY,
        actor="import-7",
        appended_ms=APPENDED_MS,
    )  # fmt: skip


def test_r2_the_source_is_known_from_the_topic() -> None:
    assert one(message(topic="ads.person.changes")).key.agency == "ads"
    assert one(message(topic="region.centre.changes")).key.record_type == "centre"


def test_r2_a_topic_takes_only_its_own_record_type() -> None:
    centre = message(topic="entraide.centre.changes").value
    assert dead(message(centre, topic="entraide.person.changes")).code == "wrong_schema"


def test_r3_only_what_the_mask_names_is_said() -> None:
    change = one(message(changed=[], record={"cin": "SH1", "phone": "+212612345678"}))
    assert (change.values, change.added, change.withheld) == ({}, {}, ())


def test_r4_a_message_without_a_key_has_no_order() -> None:
    assert dead(message(key=None)).code == "no_key"


def test_r10_a_stamp_is_bounded_by_the_append_time_and_kept_as_it_came() -> None:
    ahead = stamps.at(APPENDED_MS + 24 * 3_600_000)
    change = one(message(stamp=ahead))
    assert change.stamp == ahead
    assert stamps.milliseconds(change.effective) == APPENDED_MS + stamps.MAX_SKEW_MS


def test_r10_what_a_snapshot_asserts_ranks_by_its_own_age_and_is_bounded_too() -> None:
    change = one(message(operation="snapshot", asserted=minute(-5)))
    assert (change.stamp, change.effective) == (minute(1), minute(-5))
    assert one(message(operation="snapshot", asserted=0)).effective == stamps.LOWEST
    assert one(message(operation="snapshot", asserted=2**62)).effective == minute(1)


def test_r11_a_snapshot_that_does_not_say_since_when_is_of_unknown_age() -> None:
    assert one(message(operation="snapshot", asserted=None)).effective == stamps.LOWEST
    assert one(message(operation="insert", asserted=None)).effective == minute(1)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"local_id": ""}, "local_id"),
        ({"local_id": "a\0b"}, "local_id"),
        ({"local_id": "x" * (MAX_ID + 1)}, "local_id"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "a\0b"}, "event_id"),
        ({"event_id": "x" * (MAX_ID + 1)}, "event_id"),
        ({"actor": ""}, "actor"),
        ({"actor": "a\0b"}, "actor"),
        ({"actor": "x" * (MAX_ID + 1)}, "actor"),
        ({"incarnation": -1}, "incarnation"),
        ({"stamp": 0}, "stamp"),
        ({"stamp": -5}, "stamp"),
        ({"asserted": -1}, "stamp"),
        ({"record": {"cin": "not one"}}, "cin"),
        ({"record": {"phone": "+212612345678"}, "stale": ["phone"]}, "phone"),
        ({"record": {"languages": ["ar"]}, "changed": [], "stale": ["languages"]}, "languages"),
    ],
)
def test_what_no_database_could_keep_or_nobody_can_mean_is_a_dead_letter(
    fields: dict[str, Any], path: str
) -> None:
    letter = dead(message(**fields))
    assert (letter.code, letter.path) == ("invalid_value", path)


def test_a_dead_letter_repeats_no_value() -> None:
    assert "SECRET" not in dead(message(record={"cin": "SECRET"})).text


def test_a_dead_letter_can_be_kept_whatever_the_message_called_its_fields() -> None:
    letter = dead(message(changed=["na\0me" + "e" * 5_000]))
    assert letter.code == "unknown_field"
    assert "\0" not in letter.path + letter.text
    assert len(letter.path) < 1_000


def test_an_entity_must_be_of_the_form_of_this_agency_s_names() -> None:
    assert dead(message(entity="entity-7")).code == "unknown_entity"
    assert dead(message(entity="é")).code == "unknown_entity"
    # Another agency's name leads to nobody: what it says is not known to this one.
    foreign = one(message(entity=IDS.pairwise("ads").name(ENTITY))).entity
    assert foreign not in (None, ENTITY)


def test_r17_what_the_agreement_does_not_let_an_agency_publish_is_withheld_once() -> None:
    terms = TERMS["person"][0]._replace(agency="entraide", publishes=frozenset({"cin"}))
    narrow = {**TERMS, "person": (terms,)}
    done = Reading(CATALOGUE, EVENTS, narrow, IDS, schema_of).read(
        [message(record={"cin": "SH1", "phone": "not even valid", "languages": ["ar"]})]
    )
    ((change, _),) = done.changes
    assert change.withheld == ("phone", "languages")
    assert (change.values.keys(), change.added) == ({"cin"}, {})


def test_r17_after_the_last_day_of_its_agreement_an_agency_only_takes_back() -> None:
    def taken(record_type: str, days_late: int, **fields: Any) -> bool:
        terms = TERMS[record_type][0]._replace(
            agency="entraide", publishes=frozenset(CATALOGUE.records[record_type].by_name), until_day=20_000
        )
        sent_ms = (20_001 + days_late) * 86_400_000 - 1
        done = Reading(CATALOGUE, EVENTS, {record_type: (terms,)}, IDS, schema_of).read(
            [message(topic=f"entraide.{record_type}.changes", timestamp_ms=sent_ms, **fields)]
        )
        assert [letter.code for letter in done.dead] == ["agreement_ended"] * (not done.changes)
        return bool(done.changes)

    edit: dict[str, Any] = {"record": {"phone": "+212612345678"}, "changed": ["phone"]}
    assert taken("person", 0, **edit)
    assert not taken("person", 1, **edit)
    gone: dict[str, Any] = {"operation": "delete", "record": None, "changed": []}
    assert taken("person", 1, **gone)
    given: dict[str, Any] = {"record": {"status": "given"}, "changed": ["status"]}
    withdrawn: dict[str, Any] = {"record": {"status": "withdrawn"}, "changed": ["status"]}
    assert not taken("consent", 1, **given)
    assert taken("consent", 1, **withdrawn)
    # Of a withdrawal that is deleted another consent might live again.
    assert not taken("consent", 1, **gone)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "no_value"),
        (b"", "undecodable"),
        (b"\x00\x00\x00", "undecodable"),
        (b"{}" + bytes(10), "undecodable"),
        (frame(SCHEMA_IDS["person"], b""), "undecodable"),
        (frame(SCHEMA_IDS["person"], b"\x02a" + b"\xff" * 40), "undecodable"),
        (frame(9_999, b""), "unknown_schema_id"),
        (bytes(MAX_MESSAGE_BYTES + 1), "too_large"),
    ],
)
def test_r6_whatever_is_no_change_is_a_dead_letter(value: bytes | None, code: str) -> None:
    # `message(None)` would make a good one.
    assert dead(message(b"")._replace(value=value)).code == code


def test_r6_lists_are_bounded() -> None:
    assert dead(message(changed=["cin"] * (MAX_ITEMS + 1))).code == "too_large"
    assert dead(message(record={"languages": ["ar"] * (MAX_ITEMS + 1)})).code == "too_large"
    assert dead(message(removed={str(number): [] for number in range(MAX_ITEMS)})).code == "too_large"


def test_r27_a_dead_letter_does_not_stop_its_neighbours() -> None:
    messages = [message(local_id="1"), message(b"junk"), message(local_id="2", offset=2)]
    done = reading().read(messages)
    assert [change.key.local_id for change, _ in done.changes] == ["1", "2"]
    assert [letter.message for letter in done.dead] == [messages[1]]
