"""The console's dead letters over a real store: piles, one under the lamp, taking in again, discarding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from dead_letter_desk import BAD, GOOD, arrive, golden, refused_phone, says, trail, wider
from ops_hub import OpsHub, ops_hub
from support.console import Visitor, console_of

from hub.console import dead_letter_decisions, dead_letters
from hub.local.stack import Stack

Enter = Callable[..., Visitor]
LIST = "/dead-letters"
WHY = "the contract was mended"


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("letters")
    with ops_hub(stack, folder) as made:
        yield made


@pytest.fixture(scope="module")
def wide(hub: OpsHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with wider(hub, tmp_path_factory.mktemp("wide")) as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(hub: OpsHub) -> None:
    hub.rest()


def sealed(page: httpx.Response) -> str:
    """The seal of a page that asks to confirm."""
    found = re.search(r'name="seal" value="(\w+)"', page.text)
    assert found is not None, page.text
    return found[1]


def state(hub: OpsHub, number: int) -> tuple[str, str]:
    row = hub.rows("SELECT state, outcome FROM dead_letter WHERE id = %s", number)[0]
    return row.state, row.outcome


# Listing


def test_ten_thousand_alike_are_one_line(hub: OpsHub, enter: Enter) -> None:
    _, first = refused_phone(hub)
    hub.rows(
        "INSERT INTO dead_letter (topic, partition, kafka_offset, agency, record_type, code, path,"
        " message, at_ms, key, value, state) SELECT topic, partition, 1000000 + n, agency,"
        " record_type, code, path, message, at_ms, key, value, state"
        " FROM dead_letter, generate_series(1, 9999) AS n WHERE id = %s RETURNING 1",
        first,
    )
    page = enter("operator").get(LIST).text
    assert page.count("of-agency") == 1
    assert "10,000 dead letters" in page
    assert "One by one" not in page
    found = enter("operator").get(f"/api/v1{LIST}?code=invalid_value").json()
    assert found["total"] == 10_000
    assert [pile["number"] for pile in found["piles"]] == [10_000]
    assert len(found["letters"]) == dead_letters.PAGE


def test_the_filter_chooses_and_pages_follow(
    hub: OpsHub, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 1)
    _, first = refused_phone(hub)
    other = says(hub, hub.key("region", "1"), 10, "insert", phone=BAD)
    junk = arrive(hub, hub.key("ads", "x", "enrolment"), b"\0junk", at=20)
    visitor = enter("operator")

    def ids(query: str) -> list[int]:
        found, after = [], "0"
        while after:
            page = visitor.get(f"/api/v1{LIST}?{query}&after={after}").json()
            found += [one["id"] for one in page["letters"]]
            after = str(page["next"] or "")
        return found

    assert ids("") == [first, other, junk]
    assert ids(f"agency={hub.name('ads')}") == [first, junk]
    assert ids("record_type=enrolment") == [junk]
    assert ids("code=invalid_value") == [first, other]
    assert ids("state=discarded") == []
    assert ids("until=2001-01-31") == []
    says(hub, hub.key("ads", "1"), 3, phone=GOOD)
    assert ids("superseded=1") == [first]
    assert "Next page" in visitor.get(f"{LIST}?code=invalid_value").text


@pytest.mark.parametrize("query", ["state=gone", "since=soon", "until=9999-12-31", "after=x", "after=-1"])
def test_a_filter_that_makes_no_sense_is_refused(enter: Enter, query: str) -> None:
    for path in (LIST, f"/api/v1{LIST}"):
        assert enter("operator").get(f"{path}?{query}").status_code == 400


def test_the_overview_leads_to_them(hub: OpsHub, enter: Enter) -> None:
    refused_phone(hub)
    visitor = enter("operator")
    leads = f"{LIST}?agency={hub.name('ads')}&amp;record_type=person"
    assert f'href="{leads}"' in visitor.get("/").text
    assert "One by one" in visitor.get(leads.replace("&amp;", "&")).text
    assert leads not in enter("auditor").get("/").text


# One


def test_a_letter_is_shown_beside_its_error_and_without_values(hub: OpsHub, enter: Enter) -> None:
    _, number = refused_phone(hub, "778899")
    for role in ("operator", "steward"):
        visitor = enter(role)
        page = visitor.get(f"{LIST}/{number}").text
        assert "A value is not what the contract allows" in page
        assert "Agency's move" in page
        assert "would stay dead" in page
        assert "record.phone" in page
        assert "field phone" not in page, "by its name in the contract's words"
        assert "^^ byte" in page
        for answer in (page, visitor.get(f"/api/v1{LIST}/{number}").text, visitor.get(LIST).text):
            assert BAD not in answer
            assert "778899" not in answer, "nor is it read off the bytes"
            assert ("Show values in full" in page) == (role == "steward")
        assert ("Take in again" in page) == (role == "operator")
        assert ("Discard" in page) == (role == "steward")


def test_bytes_that_are_rubbish_are_shown_as_far_as_they_go(hub: OpsHub, enter: Enter) -> None:
    junk = arrive(hub, hub.key("ads", "x"), b"\0\0\0\0\1SALMA")
    nothing = arrive(hub, hub.key("ads", "x"), None)
    visitor = enter("operator")
    page = visitor.get(f"{LIST}/{junk}").text
    assert "whose record it is cannot be read" in page
    assert "SALMA" not in page
    assert "The message has no value" in visitor.get(f"{LIST}/{nothing}").text


@pytest.mark.parametrize("number", ["0", "424242", "9" * 18])
def test_a_letter_that_is_not_there_is_not_found(enter: Enter, number: str) -> None:
    assert enter("operator").get(f"{LIST}/{number}").status_code == 404
    assert enter("operator").get(f"/api/v1{LIST}/{'9' * 30}").status_code == 400


def test_a_steward_who_says_why_sees_it_all_and_that_is_kept(hub: OpsHub, enter: Enter) -> None:
    _, number = refused_phone(hub, "778899")
    path = f"{LIST}/{number}"
    visitor = enter("steward")
    assert visitor.post(path, page=path, purpose="why").status_code == 400
    assert enter("operator").post(path, page=path, purpose="out of curiosity").status_code == 403
    assert trail(hub) == []
    page = visitor.post(path, page=path, purpose="the agency asks what it sent")
    assert BAD in page.text
    assert "778899" in page.text
    assert trail(hub) == [("Souad", "reveal", f"dead letter {number}", "the agency asks what it sent", "")]


def test_a_preview_says_what_would_change_and_what_is_superseded(
    hub: OpsHub, wide: OpsHub, enter: Enter
) -> None:
    _, number = refused_phone(hub)
    with console_of(wide.parts) as console:
        visitor = enter("operator", at=console)
        before = visitor.get(f"/api/v1{LIST}/{number}").json()["preview"]
        assert before["outcome"] == "applied"
        assert [(one["name"], one["changes"]) for one in before["fields"]] == [("phone", True)]
        assert before["record"] == ""
        assert "Would become the golden value" in visitor.get(f"{LIST}/{number}").text
        says(hub, hub.key("ads", "1"), 3, phone=GOOD)
        after = visitor.get(f"{LIST}/{number}").text
        assert "the record has said otherwise since" in after
        assert "It can be discarded" in after
        assert not re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", after), "a date as the reader writes it"
        assert "Steward's move" in after


def test_an_agency_sees_its_own_and_decides_nothing(hub: OpsHub, enter: Enter) -> None:
    _, number = refused_phone(hub, "778899")
    path = f"/agencies/{hub.name('ads')}/dead-letters"
    own = enter("agency", "ads", language="fr")
    assert f'href="{path}"' in own.get(path.removesuffix("/dead-letters")).text
    page, told = own.get(path).text, own.get(f"/api/v1{path}")
    [seen] = told.json()["letters"]
    assert (seen["id"], seen["code"], seen["local_id"]) == (number, "invalid_value", "778899")
    assert f"{seen['topic']}[0]@{seen['offset']}" in page
    assert "Une valeur n" in page
    assert BAD not in page + told.text
    assert "discard" not in page
    assert own.get(f"{LIST}/{number}").status_code == 403
    other = enter("agency", "health")
    assert other.get(path).status_code == other.get(f"/api/v1{path}").status_code == 404
    assert "778899" not in enter("operator").get(path).text
    assert enter("auditor").get(path).status_code == 403


# Deciding


def test_a_letter_is_taken_in_again_by_who_says_why(hub: OpsHub, wide: OpsHub, enter: Enter) -> None:
    ads, number = refused_phone(hub)
    with console_of(wide.parts) as console:
        visitor = enter("operator", at=console)
        asked = visitor.post(f"{LIST}/redrive", page=LIST, letter=str(number))
        assert "Take 1 dead letter in again" in asked.text
        assert state(hub, number) == ("open", None)
        seal = sealed(asked)
        mute = visitor.post(f"{LIST}/redrive", page=LIST, letter=str(number), seal=seal, why=" no ")
        assert mute.status_code == 400
        assert state(hub, number) == ("open", None)
        done = visitor.post(f"{LIST}/redrive", page=LIST, letter=str(number), seal=seal, why=WHY)
        assert "1 dead letter taken in again" in done.text
    assert state(hub, number) == ("redriven", "applied")
    assert golden(wide, ads, "phone") == BAD
    assert trail(hub) == [("Souad", "redrive", f"dead letter {number}", WHY, "applied")]


def test_what_stays_dead_is_told(hub: OpsHub, enter: Enter) -> None:
    _, number = refused_phone(hub)
    visitor = enter("operator")
    seal = sealed(visitor.post(f"{LIST}/redrive", page=LIST, letter=str(number)))
    done = visitor.post(f"{LIST}/redrive", page=LIST, letter=str(number), seal=seal, why=WHY)
    assert "Still dead" in done.text
    assert '<code dir="ltr">invalid_value</code>' in done.text
    assert 'lang="en">' not in done.text.partition("<main")[2], "it is told in the reader's language"
    assert BAD not in done.text
    assert "field \u2068Telephone number, in international form" in done.text, "in the contract's words"
    assert state(hub, number) == ("open", "dead")


def test_all_that_a_filter_shows_is_discarded_once_its_number_is_confirmed(hub: OpsHub, enter: Enter) -> None:
    numbers = [refused_phone(hub, str(n))[1] for n in range(3)]
    spared = arrive(hub, hub.key("ads", "x"), b"\0junk")
    visitor = enter("steward")
    chosen = {"code": "invalid_value"}
    asked = visitor.post(f"{LIST}/discard", page=LIST, **chosen)
    assert "Discard 3 dead letters" in asked.text
    seal = sealed(asked)
    numbers.append(refused_phone(hub, "9")[1])
    again = visitor.post(f"{LIST}/discard", page=LIST, seal=seal, why=WHY, **chosen)
    assert again.status_code == 409
    assert "Discard 4 dead letters" in again.text
    assert {state(hub, number)[0] for number in numbers} == {"open"}
    done = visitor.post(f"{LIST}/discard", page=LIST, seal=sealed(again), why=WHY, **chosen)
    assert "4 dead letters discarded" in done.text
    assert {state(hub, number)[0] for number in numbers} == {"discarded"}
    assert state(hub, spared)[0] == "open"
    assert {deed[:2] + deed[3:4] for deed in trail(hub)} == {("Souad", "discard", WHY)}


def test_more_than_are_done_at_once_are_offered_afterwards(
    hub: OpsHub, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_decisions, "AT_ONCE", 2)
    for n in range(3):
        refused_phone(hub, str(n))
    visitor = enter("steward")
    asked = visitor.post(f"{LIST}/discard", page=LIST)
    assert "1 more wait" in asked.text
    done = visitor.post(f"{LIST}/discard", page=LIST, seal=sealed(asked), why=WHY)
    assert "2 dead letters discarded" in done.text
    assert len(hub.rows("SELECT 1 FROM dead_letter WHERE state = 'open'")) == 1


@pytest.mark.parametrize(
    ("role", "deed"), [("operator", "discard"), ("steward", "redrive"), ("auditor", "redrive")]
)
def test_who_may_not_does_not_by_sending_the_form(hub: OpsHub, enter: Enter, role: str, deed: str) -> None:
    _, number = refused_phone(hub)
    visitor = enter(role)
    seal = dead_letter_decisions.seal([number])
    answer = visitor.post(f"{LIST}/{deed}", page="/", letter=str(number), seal=seal, why=WHY)
    assert answer.status_code == 403
    assert state(hub, number) == ("open", None)


def test_a_form_without_its_token_decides_nothing(hub: OpsHub, enter: Enter) -> None:
    _, number = refused_phone(hub)
    seal = dead_letter_decisions.seal([number])
    fields = {"letter": str(number), "seal": seal, "why": WHY}
    assert enter("operator").client.post(f"{LIST}/redrive", data=fields).status_code == 403
    assert enter("steward").client.post(f"{LIST}/discard", data=fields).status_code == 403
    assert state(hub, number) == ("open", None)


def test_a_program_chooses_and_decides_by_the_seal_of_its_choice(hub: OpsHub, enter: Enter) -> None:
    numbers = [refused_phone(hub, str(n))[1] for n in range(2)]
    spared = arrive(hub, hub.key("ads", "x"), b"\0junk")
    operator, steward = enter("operator"), enter("steward")
    asked = operator.get(f"/api/v1{LIST}/choice?code=invalid_value").json()
    assert (asked["letters"], asked["more"], asked["foreseen"]) == (numbers, 0, {"dead": 2})
    path = f"/api/v1{LIST}/redrive"
    form = {"code": "invalid_value", "seal": asked["seal"], "why": WHY}
    assert operator.client.post(path, data=form).status_code == 403, "a session's cookie alone"
    assert operator.post(path, page=LIST, code="invalid_value", why=WHY).status_code == 400
    assert operator.post(path, page=LIST, **form | {"why": "no"}).status_code == 400
    assert steward.post(path, page="/", **form).status_code == 403
    done = operator.post(path, page=LIST, **form)
    assert (done.json()["number"], done.json()["outcomes"]) == (2, {"dead": 2})
    assert [one["number"] for one in done.json()["still"]] == numbers
    assert BAD not in done.text
    numbers.append(refused_phone(hub, "9")[1])
    path = f"/api/v1{LIST}/discard"
    assert operator.post(path, page="/", **form).status_code == 403
    assert steward.post(path, page=LIST, **form).status_code == 409, "it means another one, too"
    assert {state(hub, number)[0] for number in numbers} == {"open"}
    form["seal"] = steward.get(f"/api/v1{LIST}/choice?code=invalid_value").json()["seal"]
    assert steward.post(path, page=LIST, **form).json()["number"] == 3
    assert steward.post(path, page=LIST, letter=str(spared), why=WHY).json()["number"] == 1
    assert steward.get(f"/api/v1{LIST}/choice?letter={spared}").json()["foreseen"] == {"dead": 1}
    assert {state(hub, number)[0] for number in (*numbers, spared)} == {"discarded"}
    assert steward.post(path, page=LIST, code="invalid_value", seal="x", why=WHY).status_code == 409
    _, number = refused_phone(hub)
    assert steward.post(path, page=LIST, letter=str(number), seal="x", why=WHY).status_code == 409
    assert state(hub, number)[0] == "open"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"letter": "x"}, 400),
        ({"letter": "424242"}, 409),
        ({"letter": ""}, 409),
        ({"state": "all"}, 400),
        ({}, 409),
    ],
)
def test_a_choice_of_nothing_is_told(enter: Enter, fields: dict[str, str], status: int) -> None:
    answer = enter("operator").post(f"{LIST}/redrive", page=LIST, **fields)
    assert answer.status_code == status


@pytest.mark.parametrize(("language", "words"), [("ar", "الدور على المؤسسة"), ("fr", "Une valeur n'est pas")])
def test_pages_speak_the_readers_language(hub: OpsHub, enter: Enter, language: str, words: str) -> None:
    _, number = refused_phone(hub)
    visitor = enter("steward", language=language)
    pages = [visitor.get(LIST), visitor.get(f"{LIST}/{number}")]
    assert words in pages[1].text.replace("&#39;", "'")
    pages.append(visitor.post(f"{LIST}/discard", page=LIST, letter=str(number)))
    for page in pages:
        text = re.sub(r"<[^>]+>", " ", page.text)
        for word in ("Reason", "State", "Why?", "Discard"):
            assert word not in text
