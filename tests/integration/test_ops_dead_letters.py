"""Dead letters at the desk: listed, shown with their bytes, discarded; who looked and who decided (R27)."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dead_letter_desk import (
    BAD,
    GOOD,
    SALMA,
    arrive,
    ask,
    contents,
    golden,
    letter,
    preview,
    redrive,
    refused_phone,
    says,
    trail,
    wider,
)
from ops_hub import OpsHub, ops_hub
from sqlalchemy.exc import IntegrityError
from support.changes import minute

from hub.core import stamps
from hub.errors import Fatal
from hub.local.stack import Stack
from hub.ops.dead_letters import DeadLetters
from hub.ops.effects import APPLIED, DEAD
from hub.ops.finding import NotFound


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder) as made:
        yield made


@pytest.fixture(scope="module")
def wide(hub: OpsHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with wider(hub, tmp_path_factory.mktemp("wide")) as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(hub: OpsHub) -> None:
    hub.rest()


def utc(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, tz=datetime.UTC).isoformat()


def values_of(found: Any, name: str) -> Iterator[int]:
    """The numbers of this name, wherever they stand."""
    if isinstance(found, dict):
        yield from (value for key, value in found.items() if key == name and isinstance(value, int))
        found = list(found.values())
    for value in found if isinstance(found, list) else ():
        yield from values_of(value, name)


# Listing


def numbers_of(hub: OpsHub, *arguments: str) -> list[int]:
    done = ask(hub, "dlq", "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [one["id"] for one in json.loads(done.stdout)]


def test_the_list_is_chosen_by_agency_type_reason_and_time(hub: OpsHub) -> None:
    _, first = refused_phone(hub)
    other = says(hub, hub.key("region", "1"), 10, "insert", phone=BAD)
    junk = arrive(hub, hub.key("ads", "x", "enrolment"), b"\0junk", at=20)
    at = {number: stamps.milliseconds(minute(number)) for number in (10, 20)}
    assert numbers_of(hub) == [first, other, junk]
    assert numbers_of(hub, "--agency", hub.name("ads")) == [first, junk]
    assert numbers_of(hub, "--record-type", "enrolment") == [junk]
    assert numbers_of(hub, "--reason", "invalid_value") == [first, other]
    assert numbers_of(hub, "--since", utc(at[10])) == [other, junk]
    assert numbers_of(hub, "--until", utc(at[10])) == [first]
    assert numbers_of(hub, "--since", utc(at[10]), "--until", utc(at[20])) == [other]
    assert numbers_of(hub, "--agency", hub.name("ads"), "--reason", "invalid_value") == [first]
    assert numbers_of(hub, "--limit", "1") == [first]
    assert numbers_of(hub, "--since", "1m") == []


def test_the_list_repeats_no_value_and_says_what_was_made_of_each(hub: OpsHub, wide: OpsHub) -> None:
    _, first = refused_phone(hub)
    _, second = refused_phone(hub, "2")
    redrive(wide, first)
    DeadLetters(hub.parts).discard([second], SALMA, "typed twice")
    shown = ask(hub, "dlq", "list", "--state", "all").stdout
    assert BAD not in shown
    assert f"dead letter {first}: {hub.name('ads')}:1 (person) invalid_value in phone" in shown
    assert "redriven by Salma and applied (mended)" in shown
    assert "discarded by Salma (typed twice)" in shown
    assert numbers_of(hub, "--state", "discarded") == [second]
    assert ask(hub, "dlq", "list").stdout == "no dead letters\n"
    assert "no agency 'adz'" in hub.run("dlq", "list", "--agency", "adz").stderr


def test_only_what_is_superseded_can_be_chosen(hub: OpsHub) -> None:
    _, first = refused_phone(hub)
    refused_phone(hub, "2")
    says(hub, hub.key("ads", "1"), 3, phone=GOOD)
    assert numbers_of(hub, "--superseded") == [first]
    done = ask(hub, "dlq", "discard", "--superseded", "--who", "Salma", "--why", "said again", "--json")
    assert json.loads(done.stdout) == {"discarded": [first]}


def test_a_topic_made_anew_has_dead_letters_of_its_own(hub: OpsHub) -> None:
    ads, first = refused_phone(hub)
    hub.rows(
        "INSERT INTO dead_letter (topic, partition, kafka_offset, agency, record_type, code, path, message,"
        " at_ms, value) SELECT topic, partition, kafka_offset, agency, record_type, code, path, message,"
        " at_ms + 1, value FROM dead_letter RETURNING id"
    )
    assert len(numbers_of(hub)) == 2
    assert hub.name("ads") == ads.agency
    assert first in numbers_of(hub)


def test_status_counts_those_that_nobody_has_decided_on(hub: OpsHub) -> None:
    _, number = refused_phone(hub)
    refused_phone(hub, "2")
    dead = "SELECT count(*) AS n FROM dead_letter WHERE state = 'open'"
    assert hub.rows(dead)[0].n == 2
    DeadLetters(hub.parts).discard([number], SALMA, "typed twice")
    told = json.loads(ask(hub, "status", "--json").stdout)
    assert sum(values_of(told, "dead")) == 1


# Deciding on the command line


def test_nothing_is_discarded_without_who_and_why(hub: OpsHub) -> None:
    _, number = refused_phone(hub)
    for missing in (
        ["--who", "Salma"],
        ["--why", "old"],
        ["--who", " ", "--why", "old"],
        ["--who", "Salma", "--why", " "],
        [],
    ):
        refused = ask(hub, "dlq", "discard", str(number), *missing)
        assert refused.returncode == 2, missing
    assert ask(hub, "dlq", "discard", "--who", "Salma", "--why", "all").returncode == 2
    assert (letter(hub, number).row.state, trail(hub)) == ("open", [])
    with pytest.raises(IntegrityError), hub.parts.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE dead_letter SET state = 'discarded', who = 'Salma', why = ''")


def test_a_discarded_one_keeps_its_bytes_and_who_decided(hub: OpsHub, wide: OpsHub) -> None:
    ads, number = refused_phone(hub)
    value = letter(hub, number).row.value
    done = ask(hub, "dlq", "discard", str(number), "--who", "Salma", "--why", "typed twice")
    assert (done.returncode, done.stdout) == (0, f"dead letter {number} discarded\n"), done.stderr
    row = letter(hub, number).row
    assert (row.state, row.who, row.why, row.value) == ("discarded", "Salma", "typed twice", value)
    assert trail(hub) == [("Salma", "discard", f"dead letter {number}", "typed twice", "")]
    again = ask(hub, "dlq", "discard", str(number), "--who", "Driss", "--why", "no")
    assert "had been discarded before" in again.stdout
    # Tried again in vain it stays discarded; a mended one is taken in.
    assert redrive(hub, number)[0].outcome == DEAD
    assert (letter(hub, number).row.state, letter(hub, number).row.who) == ("discarded", "Salma")
    assert redrive(wide, number)[0].outcome == APPLIED
    assert golden(hub, ads, "phone") == BAD
    with pytest.raises(Fatal, match="was redriven"):
        DeadLetters(hub.parts).discard([number], SALMA, "too late")


def test_many_are_not_changed_unasked(hub: OpsHub, wide: OpsHub) -> None:
    letters = [refused_phone(hub, str(n))[1] for n in range(1, 4)]
    agency = ["--agency", hub.name("ads")]
    for command in (["redrive"], ["discard", "--who", "Salma", "--why", "old"]):
        refused = ask(wide, "dlq", *command, *agency)
        assert (refused.returncode, "give --yes" in refused.stderr) == (1, True)
        assert len(numbers_of(hub)) == 3
    done = ask(wide, "dlq", "redrive", *agency, "--yes", "--why", "the release takes them")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:3]] == [
        f"dead letter {number}" for number in letters
    ]
    assert "3 applied; the workers publish what follows" in done.stdout


def test_the_exit_code_says_that_some_are_still_dead(hub: OpsHub) -> None:
    _, number = refused_phone(hub)
    done = ask(hub, "dlq", "redrive", str(number))
    assert (done.returncode, f"dead letter {number}: still dead: invalid_value" in done.stdout) == (1, True)


def test_a_preview_on_the_command_line(hub: OpsHub, wide: OpsHub) -> None:
    _, first = refused_phone(hub)
    _, second = refused_phone(hub, "2")
    says(hub, hub.key("ads", "2"), 3, phone=GOOD)
    before = contents(hub)
    shown = ask(wide, "dlq", "redrive", "--preview", "--record-type", "person").stdout
    assert contents(hub) == before
    assert f"dead letter {first}: would be applied\n" in shown
    assert f"dead letter {second}: would change nothing: the record has said all of it again" in shown
    assert shown.endswith("1 would be applied, 1 would change nothing\n")
    assert BAD not in shown
    told = json.loads(ask(wide, "dlq", "redrive", "--preview", "--json", str(first)).stdout)
    assert (told[0]["outcome"], told[0]["fields"][0]["outcome"]) == ("applied", "wins")


@pytest.mark.parametrize("command", ["show", "redrive", "discard"])
def test_a_number_that_there_is_not_is_said_to_be_none(hub: OpsHub, command: str) -> None:
    decided = ["--who", "Salma", "--why", "x"] if command == "discard" else []
    refused = ask(hub, "dlq", command, "123456", *decided)
    assert (refused.returncode, "no dead letter 123456" in refused.stderr) == (1, True)
    assert ask(hub, "dlq", command, str(2**70), *decided).returncode == 2
    with pytest.raises(NotFound):
        letter(hub, 123456)


# Showing


def shown(hub: OpsHub, number: int, *arguments: str) -> str:
    done = ask(hub, "dlq", "show", str(number), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_is_shown_with_its_bytes_and_where_they_broke(hub: OpsHub) -> None:
    _, number = refused_phone(hub)
    text = shown(hub, number)
    assert "why: invalid_value in phone" in text
    assert "to mend: Mend the value at the agency" in text
    assert "the contract (fr): " in text
    (line,) = [line for line in text.splitlines() if line.startswith("* ")]
    start = int(line.split()[1].split("-")[0])
    assert "record.phone" in line
    assert f"^^ byte {start}" in text
    assert BAD not in text
    value = letter(hub, number).row.value or b""
    assert value[start + 1 : start + 1 + len(BAD)].decode() == BAD


def test_a_reveal_needs_who_and_why_and_is_kept(hub: OpsHub) -> None:
    _, number = refused_phone(hub)
    for missing in ([], ["--who", "Salma"], ["--purpose", "a complaint"], ["--who", " ", "--purpose", "x"]):
        refused = ask(hub, "dlq", "show", str(number), "--reveal", *missing)
        assert (refused.returncode, BAD in refused.stdout) == (2, False), missing
    assert trail(hub) == []
    text = shown(hub, number, "--reveal", "--who", "Salma", "--purpose", "a complaint")
    assert BAD in text
    subject = f"dead letter {number}"
    assert trail(hub) == [("Salma", "reveal", subject, "a complaint", "")]
    row = hub.rows("SELECT account, agency, record_type FROM audit")[0]
    assert "@" in row.account
    assert (row.agency, row.record_type) == (hub.name("ads"), "person")
    listed = json.loads(ask(hub, "audit", "list", "--action", "reveal", "--json").stdout)
    assert [(one["who"], one["subject"], one["purpose"]) for one in listed] == [
        ("Salma", subject, "a complaint")
    ]
    assert "Salma" in ask(hub, "audit", "list", "--who", "Salma").stdout
    assert ask(hub, "audit", "list", "--who", "Driss").stdout == "nothing was done that matches\n"


def test_a_reveal_is_kept_before_anything_is_shown(hub: OpsHub) -> None:
    _, number = refused_phone(hub)
    asked = ["dlq", "show", str(number), "--reveal", "--who", "Salma", "--purpose", "a complaint"]
    failed = ask(hub, *asked, JISR_REGISTRY_URL="http://127.0.0.1:9")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert len(trail(hub)) == 1
    with hub.parts.store.begin() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE audit RENAME TO elsewhere")
    try:
        refused = ask(hub, *asked)
        assert (refused.returncode, refused.stdout) == (1, "")
    finally:
        with hub.parts.store.begin() as tx:
            tx.connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO audit")


def hostile(hub: OpsHub, name: str) -> bytes | None:
    ads = hub.key("ads", "1")
    fine = hub.say(ads, minute(1), "insert", cin="AB1", phone=GOOD)
    return {
        "no value": None,
        "empty": b"",
        "one byte": b"\0",
        "truncated": fine[:-9],
        "truncated at a row's end": fine[:32],
        "wrong magic": b"\1" + fine[1:],
        "unknown schema": b"\0" + (999_999).to_bytes(4, "big") + fine[5:],
        "more after the end": fine + b"\x1b[2J",
        "a megabyte": b"\0" * 1_000_001,
        "a megabyte of text": hub.say(ads, minute(1), "insert", given_name_fr="x" * 990_000),
        "JSON": b'{"cin": "AB1"}',
        "a terminal's commands": hub.say(hub.key("ads", "\x1b[2J\n\u202e"), minute(1), "insert", phone=BAD),
        "bytes that are no text": fine.replace(b"AB1", b"A\xff1"),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "no value", "empty", "one byte", "truncated", "truncated at a row's end", "wrong magic",
        "unknown schema", "more after the end", "a megabyte", "a megabyte of text", "JSON",
        "a terminal's commands", "bytes that are no text",
    ],
)  # fmt: skip
def test_hostile_bytes_are_shown_cleanly(hub: OpsHub, name: str) -> None:
    value = hostile(hub, name)
    number = arrive(hub, hub.key("ads", "1"), value)
    assert number
    revealing = ["--reveal", "--who", "Salma", "--purpose", "a test"]
    for arguments in ([], revealing):
        text = shown(hub, number, *arguments)
        assert f"{len(value or b'')} bytes" in text
        assert all(line.isprintable() for line in text.splitlines())
        assert len(text) < 20_000
        assert max(map(len, text.splitlines())) < 1_000
        json.loads(shown(hub, number, "--json", *arguments))
    assert [line.isprintable() for line in ask(hub, "dlq", "list").stdout.splitlines()] == [True]
    assert preview(hub, number)[0].outcome == DEAD
    assert redrive(hub, number)[0].outcome == DEAD
    assert letter(hub, number).row.value == value


def test_a_message_of_another_record_type_shows_nothing_of_anybody(hub: OpsHub) -> None:
    """A centre's telephone is nobody's secret; a person's, written into the topic of centres, is."""
    person = hub.say(hub.key("ads", "1"), minute(1), "insert", phone=GOOD, given_name_fr="Zineb")
    number = arrive(hub, hub.key("ads", "1", "enrolment"), person)
    assert letter(hub, number).row.code == "wrong_schema"
    text = shown(hub, number)
    assert GOOD not in text
    assert "Zineb" not in text
    assert "record.phone" in text


def test_a_registry_that_is_away_hides_whose_they_are_and_not_the_list(hub: OpsHub) -> None:
    _, number = refused_phone(hub)
    listed = ask(hub, "dlq", "list", JISR_REGISTRY_URL="http://127.0.0.1:9")
    assert (listed.returncode, f"dead letter {number}" in listed.stdout) == (0, True)
    assert "what they say could not be read" in listed.stderr
