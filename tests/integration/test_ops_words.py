"""A steward's word on a field stands above all agencies', ends a dispute, and can be taken back (R9, R19)."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ops_hub import OpsHub, ops_hub
from support.changes import said

from hub.core.answers import REWRITE_LIMIT
from hub.core.assertions import RecordKey
from hub.errors import Fatal
from hub.local.stack import Stack
from hub.ops.explain import Explanation, FieldStory, explain
from hub.ops.finding import NotFound, find
from hub.ops.naming import find_by_name
from hub.ops.veil import Veil
from hub.ops.words import Words

BORN = datetime.date(1990, 5, 1)
PERSON: dict[str, Any] = {"birth_date": BORN, "family_name_fr": "Alaoui"}


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("ops")
    with ops_hub(stack, folder) as made:
        yield made


@pytest.fixture
def salma(hub: OpsHub) -> RecordKey:
    """Somebody whom entraide and ads know; both write their own given name, ads again and again."""
    hub.rest()
    entraide, ads = hub.key("entraide", "1"), hub.key("ads", "7")
    hub.take(
        said(entraide, 1, "insert", cin="SH1", given_name_fr="Salma", languages=["ar"], **PERSON),
        said(ads, 2, "insert", cin="SH1", languages=["fr"], **PERSON),
    )
    for number in range(REWRITE_LIMIT):
        hub.take(said(ads, 3 + number * 0.1, given_name_fr="Selma" if number % 2 else None))
    return entraide


def explained(hub: OpsHub, record: RecordKey) -> Explanation:
    """Why the person, or what the record is about, is as it is."""
    with hub.parts.looking() as tx:
        sought = find(hub.parts, tx, f"{record.agency}:{record.local_id}", None, record.record_type)
        return explain(hub.parts, tx, sought, Veil(reveal=True))


def field(hub: OpsHub, record: RecordKey, name: str) -> FieldStory:
    return next(one for one in explained(hub, record).fields if one.name == name)


def holds(hub: OpsHub, agency: str, record: RecordKey) -> set[str]:
    """The fields that the agency is told of the person."""
    told = next(one for one in explained(hub, record).agencies if one.agency == hub.name(agency))
    return set(told.fields)


def decision(why: str = "the register says so") -> dict[str, str]:
    return {"who": "Souad", "why": why}


def test_a_word_stands_above_all_ends_the_dispute_and_is_published(hub: OpsHub, salma: RecordKey) -> None:
    ads = hub.key("ads", "7")
    assert field(hub, salma, "given_name_fr").disputed_at == (f"{ads.agency}:7",)
    assert [(one.agency, one.local_id, one.field) for one in Words(hub.parts).disputes()] == [
        (ads.agency, "7", "given_name_fr")
    ]
    assert "given_name_fr" not in holds(hub, "ads", salma)

    entity = Words(hub.parts).say("7", "given_name_fr", ["  Sâlma "], **decision(), agency=ads.agency)

    assert entity == explained(hub, salma).entity
    said_now = field(hub, salma, "given_name_fr")
    assert (said_now.value, said_now.disputed_at) == ("Sâlma", ())
    assert str(said_now.rule) == "a steward decided: that stands above every agency"
    assert "given_name_fr" in holds(hub, "ads", salma)
    assert not any(one.primary for one in explained(hub, salma).members if one.agency == "steward")
    assert Words(hub.parts).disputes() == []
    assert hub.rows("SELECT count(*) FROM publication")[0][0] == 1
    trail = hub.rows("SELECT who, action, subject, purpose, detail FROM audit WHERE action = 'say'")
    assert [tuple(one) for one in trail] == [
        ("Souad", "say", f"person {entity}", "the register says so", "given_name_fr")
    ]


def test_a_word_can_be_taken_back_and_said_anew(hub: OpsHub, salma: RecordKey) -> None:
    words, name = Words(hub.parts), f"{salma.agency}:1"
    for value in ("Sâlma", "Salmâ"):
        words.say(name, "given_name_fr", [value], **decision())
        assert field(hub, salma, "given_name_fr").value == value
    for _ in range(2):
        words.take_back(name, "given_name_fr", **decision("a mistake"))
        assert field(hub, salma, "given_name_fr").value == "Salma"
        with pytest.raises(NotFound, match="no steward's word"):
            words.take_back(name, "given_name_fr", **decision())
        words.say(name, "given_name_fr", ["Selmâ"], **decision())
        assert field(hub, salma, "given_name_fr").value == "Selmâ"


def test_a_steward_is_nobody_to_whom_a_person_is_known(hub: OpsHub, salma: RecordKey) -> None:
    Words(hub.parts).say(f"{salma.agency}:1", "given_name_fr", ["Hasnaa"], **decision())
    with hub.parts.looking() as tx:
        found = find_by_name(hub.parts, tx, "Alaoui", BORN, Veil(reveal=True)).found
    assert [one.agencies for one in found] == [(hub.name("ads"), salma.agency)]
    assert found[0].names["given_name_fr"] == "Hasnaa"


def test_a_later_word_stands_whatever_the_clock_says(hub: OpsHub, salma: RecordKey) -> None:
    name = f"{salma.agency}:1"
    Words(hub.parts, clock=lambda: 2_000_000_000).say(name, "phone", ["+212611111111"], **decision())
    Words(hub.parts, clock=lambda: 1_000_000_000).say(name, "phone", ["+212622222222"], **decision())
    assert field(hub, salma, "phone").value == "+212622222222"
    Words(hub.parts, clock=lambda: 1_000_000_000).take_back(name, "phone", **decision())
    assert "phone" not in [one.name for one in explained(hub, salma).fields if one.value]


def test_an_identifier_can_be_corrected_twice_and_joins_nobody(hub: OpsHub, salma: RecordKey) -> None:
    hub.take(said(hub.key("health", "h"), 9, "insert", cin="SH9", **PERSON))
    for value in ("SH8", "SH9"):
        Words(hub.parts).say(f"{salma.agency}:1", "cin", [value], **decision())
    assert field(hub, salma, "cin").value == "SH9"
    assert explained(hub, salma).entity != explained(hub, hub.key("health", "h")).entity
    assert hub.rows("SELECT 1 FROM hold") == hub.rows("SELECT 1 FROM review") == []


def test_of_a_list_the_word_is_all_of_it(hub: OpsHub, salma: RecordKey) -> None:
    Words(hub.parts).say(f"{salma.agency}:1", "languages", ["ber", "fr"], **decision())
    assert field(hub, salma, "languages").value == "fr, ber"
    Words(hub.parts).say(f"{salma.agency}:1", "languages", None, **decision())
    assert field(hub, salma, "languages").value == ""


def test_known_to_be_empty_is_a_word(hub: OpsHub, salma: RecordKey) -> None:
    Words(hub.parts).say(f"{salma.agency}:1", "given_name_fr", None, **decision())
    assert field(hub, salma, "given_name_fr").value == "(known to be empty)"


def test_who_was_one_person_and_is_not_keeps_the_word_that_was_meant(hub: OpsHub, salma: RecordKey) -> None:
    ads = hub.key("ads", "7")
    Words(hub.parts).say(f"{salma.agency}:1", "given_name_fr", ["Sâlma"], **decision())
    pair = [f"{one.agency}:{one.local_id}" for one in (salma, ads)]
    run = hub.run("review", "different", *pair, "--who", "S", "--why", "her sister")
    assert run.returncode == 0, run.stderr
    assert field(hub, salma, "given_name_fr").value == "Sâlma"
    assert field(hub, ads, "given_name_fr").value != "Sâlma"


WRONG = {
    "no such person": (["9", "phone", "+212611111111"], "not known"),
    "no such field": (["1", "telephone", "1"], "no field 'telephone' of person: there are"),
    "not as the contract has it": (["1", "phone", "0612"], "field phone"),
    "no such code": (["1", "sex", "F"], "field sex"),
    "no date": (["1", "birth_date", "1/5/1990"], "date: YYYY-MM-DD"),
    "two values": (["1", "phone", "+212611111111", "+212622222222"], "holds one value, not 2"),
    "nothing": (["1", "phone", " "], "--empty"),
    "neither": (["1", "phone"], "say VALUE, or --empty"),
    "both": (["1", "phone", "+212611111111", "--empty"], "say VALUE, or --empty"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_said_is_refused_and_changes_nothing(
    hub: OpsHub, salma: RecordKey, arguments: list[str], message: str
) -> None:
    before = hub.rows("SELECT id, seen FROM record ORDER BY id")
    run = hub.run("value", "say", *arguments, "--agency", salma.agency, "--who", "S", "--why", "x")
    assert run.returncode != 0
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert hub.rows("SELECT id, seen FROM record ORDER BY id") == before


def test_what_only_an_agency_can_say_is_refused(hub: OpsHub, salma: RecordKey) -> None:
    entraide = hub.key("entraide", "e", "enrolment")
    hub.take(said(entraide, 9, "insert", number="INS-2026-000001", person="1", status="active"))
    name = f"{entraide.agency}:e"
    with pytest.raises(Fatal, match="only an agency can say"):
        Words(hub.parts).say(name, "person", ["2"], **decision(), record_type="enrolment")
    consent = hub.key("entraide", "c", "consent")
    given = {"person": "1", "purpose": "social-integration", "status": "withdrawn"}
    hub.take(said(consent, 9, "insert", recipients=[hub.name("ads")], **given))
    with pytest.raises(Fatal, match="only an agency can say"):
        Words(hub.parts).say(f"{consent.agency}:c", "status", ["given"], **decision(), record_type="consent")


def test_the_commands(hub: OpsHub, salma: RecordKey) -> None:
    name, by = f"{salma.agency}:1", ["--who", "Souad", "--why", "her card"]
    run = hub.run("value", "disputes", "--json")
    assert [one["field"] for one in json.loads(run.stdout)] == ["given_name_fr"]
    assert "given_name_fr" in hub.run("value", "disputes").stdout
    run = hub.run("value", "say", name, "given_name_fr", "سلمى", *by)
    assert run.returncode == 0, run.stderr
    assert "سلمى" not in run.stdout + run.stderr
    assert field(hub, salma, "given_name_fr").value == "سلمى"
    assert hub.run("value", "disputes").stdout == "nothing is in dispute\n"
    run = hub.run("value", "take-back", name, "given_name_fr", *by)
    assert run.returncode == 0, run.stderr
    run = hub.run("value", "say", name, "languages", "-", *by, given="ar\nfr\n")
    assert run.returncode == 0, run.stderr
    assert field(hub, salma, "languages").value == "ar, fr"
