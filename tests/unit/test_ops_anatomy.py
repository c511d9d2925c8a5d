"""A message under the lamp: what is read of it, where it breaks, and what is covered."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from support.contracts import CATALOGUE, EVENTS
from support.dead_letters import row_of
from support.messages import SCHEMA_IDS, body, message, schema_of

from hub.contracts.wire import frame
from hub.errors import Retriable, SkipRecord
from hub.lanes.reading import Message
from hub.ops.anatomy import Anatomy, dissect, full_name, hexdump
from hub.ops.examination import Contract, Examined, examine
from hub.ops.veil import COVER, Veil

PERSON = CATALOGUE.records["person"]
CONTRACT = Contract(full_name(EVENTS.change(PERSON)), PERSON.by_name)
RECORD: dict[str, Any] = {
    "cin": "SH123456",
    "birth_date": datetime.date(1990, 5, 1),
    "phone": "0612345678",
    "languages": ["ar", "fr"],
}
FINE = message(record=RECORD).value or b""


def examined(found: Message, *, reveal: bool = False, contract: Contract | None = CONTRACT) -> Examined:
    return examine(row_of(found), contract, schema_of, Veil(reveal=reveal))


def values(found: Examined) -> dict[str, str]:
    return {one.path: one.value for one in found.seen}


# Anatomy


def test_every_byte_of_a_whole_message_belongs_to_one_part() -> None:
    found = dissect(FINE, schema_of)
    assert (found.broke_at, found.problem) == (None, "")
    assert found.schema == "ma.jisr.events.person.Change"
    place = 5
    for part in found.parts:
        assert (part.start, FINE[part.start : part.end]) == (place, part.raw)
        place = part.end
    assert place == len(FINE)


def test_a_message_breaks_at_the_value_in_which_it_ends() -> None:
    whole = dissect(FINE, schema_of)
    for size in range(5, len(FINE)):
        found = dissect(FINE[:size], schema_of)
        # Of an empty rest, the value that should begin there.
        (broken,) = [part for part in whole.parts if part.start <= size < part.end]
        assert (found.broke_at, found.broke_path) == (broken.start, broken.path), size
        assert [part.end for part in found.parts] == [p.end for p in whole.parts if p.end <= size]


def _broke(found: Anatomy) -> tuple[int | None, str]:
    return found.broke_at, found.problem


@pytest.mark.parametrize(
    ("value", "at", "words"),
    [
        (None, 0, "no value"),
        (b"", 0, "Confluent's frame"),
        (b"\0\0\0", 0, "Confluent's frame"),
        (b"\1" + FINE[1:], 0, "Confluent's frame"),
        (b"\0" + (99).to_bytes(4, "big") + FINE[5:], 1, "schema id 99 is not in the registry"),
        (FINE + b"xy", len(FINE), "2 bytes follow the record"),
        (FINE[:5] + b"\xff" * 20, 5, "more than 64 bits"),
        (FINE[:5] + b"\x01", 5, "ends inside a value"),
        (b"\0" * 1_000_001, 0, "too large"),
    ],
)
def test_what_cannot_be_read_breaks_at_its_place(value: bytes | None, at: int, words: str) -> None:
    found_at, problem = _broke(dissect(value, schema_of))
    assert (found_at, words in problem) == (at, True), problem


@pytest.mark.parametrize(
    ("schema", "raw", "words"),
    [
        ("boolean", b"\1", ""),
        ({"type": "fixed", "name": "f", "size": 3}, b"abc", ""),
        ({"type": "fixed", "name": "f", "size": 3}, b"ab", "ends inside"),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, b"\2", "has the position 1"),
        (["null", "string"], b"\4", "no such union branch: 2"),
        ({"type": "array", "items": "string"}, b"\xfe\xff\xff\xff\x0f", "more items than are ever needed"),
        ({"type": "map", "values": "long"}, b"\2\2k\2\0", ""),
        ("bytes", b"\5", "ends inside"),
    ],
)
def test_every_kind_of_avro_value_is_passed_or_refused(schema: Any, raw: bytes, words: str) -> None:
    record = {"type": "record", "name": "R", "fields": [{"name": "x", "type": schema}]}
    problem = dissect(frame(1, raw), lambda _: record).problem
    assert words in problem
    assert bool(words) == bool(problem)


def test_a_registry_that_is_away_is_not_taken_for_a_fault_of_the_message() -> None:
    def away(_: int) -> Any:
        raise Retriable("away")

    with pytest.raises(Retriable):
        dissect(FINE, away)


def test_a_schema_that_may_not_be_read_with_is_the_fault_of_the_message() -> None:
    def unsafe(_: int) -> Any:
        raise SkipRecord("unsafe_schema", "recursive")

    assert _broke(dissect(FINE, unsafe)) == (1, "recursive")


# Examination


def test_values_are_covered_by_their_privacy_and_their_faults_named() -> None:
    found = examined(message(record=RECORD))
    seen = values(found)
    assert (seen["local_id"], seen["operation"], seen["changed[0]"]) == ("1", "update", "cin")
    assert (seen["record.cin"], seen["record.birth_date"]) == (f"S{COVER} (8)", COVER)
    (wrong,) = [one for one in found.seen if one.problem]
    assert (wrong.path, found.broke_at, found.broke_path) == ("record.phone", wrong.start, "record.phone")
    assert FINE[wrong.start + 1 : wrong.end] == b"0612345678"
    assert values(examined(message(record=RECORD), reveal=True))["record.phone"] == "0612345678"


def test_the_bytes_of_what_is_personal_are_covered() -> None:
    found = examined(message(record=RECORD))
    text = "\n".join(found.dump)
    assert found.bytes_covered
    for secret in (b"SH123456", b"0612345678"):
        assert secret[:4].hex(" ") not in text
        assert secret[:4].decode() not in text
    assert b"phone"[:4].hex(" ") in text, "the names of fields are nobody's secret"
    revealed = examined(message(record=RECORD), reveal=True)
    assert b"SH12".hex(" ") in "\n".join(revealed.dump)
    assert not revealed.bytes_covered


def test_what_could_not_be_read_is_covered() -> None:
    cut = FINE[: FINE.index(b"0612345678") + 4]
    found = examined(message(cut))
    assert (found.broke_path, found.broke_at) == ("record.phone", FINE.index(b"0612345678") - 1)
    assert b"0612".hex(" ") not in "\n".join(found.dump)
    assert b"SH12".hex(" ") not in "\n".join(examined(message(b"\1" + FINE[1:])).dump)


def test_in_another_schema_nothing_is_taken_for_public() -> None:
    """The topic takes centres, whose telephones are public; what came is a person."""
    centre = CATALOGUE.records["centre"]
    contract = Contract(full_name(EVENTS.change(centre)), centre.by_name)
    wrong = message(FINE, topic="entraide.centre.changes")
    found = examined(wrong, contract=contract)
    assert row_of(wrong).code == "wrong_schema"
    assert {one.value for one in found.seen} == {COVER}
    assert {one.value for one in examined(wrong, contract=None).seen} == {COVER}
    assert "0612345678" in values(examined(wrong, contract=contract, reveal=True)).values()


def test_a_field_that_the_mask_alone_names_is_marked_there() -> None:
    found = examined(message(changed=["cin", "shoe_size"], record={"cin": "SH1"}))
    assert found.broke_path == "changed[1]"
    header = examined(message(local_id="x" * 300, record={}))
    assert header.broke_path == "local_id"


def test_the_body_alone_is_the_schema_of_the_tests() -> None:
    assert frame(SCHEMA_IDS["person"], body(record=RECORD)) == FINE


# The dump


def test_a_long_message_is_shown_at_its_beginning_and_around_its_fault() -> None:
    size = 16 * 1000 + 5
    lines = hexdump(b"a" * size, b"\1" * size, 8000)
    assert len(lines) < 45
    assert [line for line in lines if "^^ byte 8000" in line]
    left_out = sum(int(line.split()[1]) for line in lines if line.startswith("…"))
    rows = [line for line in lines if line[:8].strip("0123456789abcdef") == ""]
    assert left_out + sum(line.rpartition("|")[0].rpartition("|")[2].count("a") for line in rows) == size


@pytest.mark.parametrize("size", [0, 15, 16, 17, 32])
def test_where_a_message_ends_too_early_is_marked(size: int) -> None:
    lines = hexdump(b"a" * size, b"\1" * size, size)
    assert len([line for line in lines if f"^^ byte {size}" in line]) == 1
    assert hexdump(b"a" * size, b"\1" * size, None) == [line for line in lines if "^^" not in line]
