"""The console's pages over a real store and Kafka: what each role sees, what is covered, what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from console_hub import DEEDS, LOCAL_ID, OLD_PHONE, PHONE, console_hub
from ops_hub import OpsHub
from starlette.requests import Request
from support.console import Visitor, visiting

from hub.console import overview, streams
from hub.console.access import Role, User
from hub.console.application import build_console
from hub.console.entrances import Entrances
from hub.console.visit import Console, Visit
from hub.contracts.notices import label
from hub.lanes.messages import hub_name
from hub.local.stack import Stack
from hub.ops.audit import Audit, Person
from hub.ops.brakes import Brakes
from hub.ops.holds import Holds
from hub.ops.veil import Veil
from hub.store.audit import Search
from hub.store.brakes import Brake

Enter = Callable[..., Visitor]


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("console")
    with console_hub(stack, folder) as made:
        yield made


def hold_of(hub: OpsHub) -> int:
    return Holds(hub.parts).list()[0].id


def mass_of(hub: OpsHub) -> Brake:
    return Brakes(hub.parts).list()[0]


def reveals(hub: OpsHub) -> list[tuple[str, str, str]]:
    """Who saw what and why, of those who came by the console."""
    found = Audit(hub.parts).search(Search(action="reveal"), 1_000)
    return [
        (one.entry.account, one.entry.subject, one.entry.purpose)
        for one in found
        if one.entry.who != "Brahim"
    ]


def test_the_overview_says_how_far_everyone_is_and_whose_move_it_is(hub: OpsHub, enter: Enter) -> None:
    page = enter("operator").get("/").text
    for agency in ("ads", "entraide", "health", "region"):
        assert f'href="/agencies/{hub.name(agency)}"' in page
    assert "joining" in page
    refused, held = page.index("refuses deliveries"), page.index("wait for a decision")
    assert refused < held, "the most urgent comes first"
    assert "Agency&#39;s move" in page or "Agency's move" in page
    assert "Steward&#39;s move" in page or "Steward's move" in page


def test_an_agency_sees_what_it_was_told_anew_and_what_was_taken_back(hub: OpsHub, enter: Enter) -> None:
    path = f"/agencies/{hub.name('ads')}/disclosures"
    own = enter("agency", "ads")
    assert f'href="{path}"' in own.get(path.removesuffix("/disclosures")).text
    page = " ".join(own.get(path).text.split())
    assert "The agreements changed" in page
    sex, phone = (label(hub.parts.catalogue.records["person"], name, "en") for name in ("sex", "phone"))
    # Each field in isolation, whichever way it reads.
    assert re.search(rf"may also hold: \W?{re.escape(sex)}", page)
    assert re.search(rf"may no longer hold: \W?{re.escape(phone)}", page)
    assert f"<bdi>{phone}</bdi>: 12,345" in page
    assert "2 records as a whole" in page
    assert "1 record as a whole" in page
    assert "3 records, of which it was not kept what had been told before" in page
    assert "under way" in page
    assert "Records were deleted, merged, split or withdrawn" in page
    arabic = enter("operator", language="ar").get(path).text
    assert "تغيّرت الاتفاقيات" in arabic
    (told,) = (one for one in own.get(f"/api/v1{path}").json()["told"] if one["cause"] == "agreement")
    assert (told["told"], told["taken_back"], told["ended_ms"]) == ({"sex": 7}, {"phone": 12345}, None)
    assert enter("agency", "health").get(path).status_code in (403, 404)


def test_the_same_is_there_for_programs(hub: OpsHub, enter: Enter) -> None:
    found = enter("operator").get("/api/v1/overview").json()
    ads = next(
        one
        for one in found["standings"]
        if (one["agency"], one["record_type"]) == (hub.name("ads"), "person")
    )
    assert (ads["refused"], ads["held"]) == (1, 2)
    assert ads["entitled"] > ads["converged"]
    assert ads["pending"] > 0
    assert found["joining"] == [hub.name("region")]
    assert [(one["kind"], one["mover"], one["count"]) for one in found["matters"]] == [
        ("mass_held", "steward", mass_of(hub).undone),
        ("refused", "agency", 1),
        ("held", "steward", 2),
    ]


def test_what_is_held_is_there_for_programs(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("auditor")
    held = Holds(hub.parts).list()
    seen = visitor.get("/api/v1/holds").json()
    assert [one["id"] for one in seen["holds"]] == [one.id for one in held]
    assert seen["next"] is None
    first = seen["holds"][0]
    assert (first["agency"], first["reason"], first["fields"]) == (hub.name("ads"), "stale_form", ["phone"])
    after = visitor.get(f"/api/v1/holds?after={held[0].id}&state=all").json()["holds"]
    assert [one["id"] for one in after] == [held[1].id]
    assert visitor.get(f"/api/v1/holds?agency={hub.name('health')}").json()["holds"] == []
    for wrong in ("state=lost", "after=x"):
        assert visitor.get(f"/api/v1/holds?{wrong}").status_code == 400
    one = visitor.get(f"/api/v1/holds/{held[0].id}")
    [phone] = one.json()["fields"]
    assert (phone["name"], phone["golden_by"]) == ("phone", hub.name("entraide"))
    assert visitor.get("/api/v1/holds/424242").status_code == 404
    brake = mass_of(hub)
    [mass] = visitor.get("/api/v1/masses").json()["masses"]
    assert (mass["id"], mass["reason"], mass["waiting"]) == (brake.id, "mass_delete", brake.undone)
    told = visitor.get(f"/api/v1/masses/{brake.id}")
    assert told.json()["mass"] == mass
    assert told.json()["sampled"] == brake.held
    for secret in (LOCAL_ID, PHONE, OLD_PHONE, "ZAOUIA"):
        assert secret not in one.text + told.text + repr(seen)
    for path in ("holds", f"holds/{held[0].id}", "masses", f"masses/{brake.id}"):
        assert enter("agency", "ads").get(f"/api/v1/{path}").status_code == 403


def test_an_agency_sees_no_other(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("agency", "ads")
    page, found = visitor.get("/"), visitor.get("/api/v1/overview").json()
    assert hub.name("entraide") not in page.text
    assert {one["agency"] for one in found["standings"] + found["matters"]} == {hub.name("ads")}
    assert found["joining"] == []
    for path in ("/agencies/", "/api/v1/agencies/"):
        assert visitor.get(path + hub.name("ads")).status_code == 200
        assert visitor.get(path + hub.name("entraide")).status_code == 404
    assert visitor.get(f"/holds/{hold_of(hub)}").status_code == 403


def test_an_agency_never_learns_the_hubs_ids(hub: OpsHub, enter: Enter) -> None:
    entity = bytes(hub.rows("SELECT entity FROM undelivered")[0].entity)
    path = f"/agencies/{hub.name('ads')}"
    own, hubs = hub.parts.ids.pairwise(hub.name("ads")).name(entity), hub_name(entity)
    for one in (path, f"/api/v1{path}"):
        to_agency, to_operator = enter("agency", "ads").get(one).text, enter("operator").get(one).text
        assert own in to_agency
        assert hubs not in to_agency
        assert hubs in to_operator


def test_an_agencys_page_has_reasons_and_its_agreement(hub: OpsHub, enter: Enter) -> None:
    page = enter("operator").get(f"/agencies/{hub.name('ads')}").text
    assert "23514" in page
    assert "telephone" in page
    assert "An outdated form was saved" in page
    assert "31 December 2099" in page
    assert "“Social integration”, with the person" in page
    assert "Only of those whom it already has." in page


def test_local_ids_are_covered_for_all_but_their_agency(hub: OpsHub, enter: Enter) -> None:
    path = f"/agencies/{hub.name('ads')}"
    for role in ("operator", "steward", "auditor"):
        visitor = enter(role)
        for answer in (visitor.get(path), visitor.get(f"/api/v1{path}"), visitor.get("/")):
            assert LOCAL_ID not in answer.text
    assert LOCAL_ID in enter("agency", "ads").get(path).text


@pytest.mark.parametrize("role", ["operator", "steward", "auditor"])
def test_a_hold_is_shown_with_its_values_covered(hub: OpsHub, enter: Enter, role: str) -> None:
    page = enter(role).get(f"/holds/{hold_of(hub)}").text
    assert "•••" in page
    for value in (PHONE, OLD_PHONE, LOCAL_ID):
        assert value not in page
    assert ("Show values in full" in page) == (role == "steward")


def test_values_are_shown_to_a_steward_who_says_why_and_that_is_kept(hub: OpsHub, enter: Enter) -> None:
    path = f"/holds/{hold_of(hub)}"
    visitor = enter("steward")
    before = reveals(hub)
    refused = visitor.post(path, page=path, purpose="  why  ")
    assert refused.status_code == 400
    assert PHONE not in refused.text
    assert reveals(hub) == before
    shown = visitor.post(path, page=path, purpose="the centre asks whose number it is")
    assert PHONE in shown.text
    assert OLD_PHONE in shown.text
    assert shown.headers["cache-control"] == "no-store"
    kept = ("Souad@local-login", f"hold {hold_of(hub)}", "the centre asks whose number it is")
    assert reveals(hub) == [*before, kept]
    assert PHONE not in visitor.get(path).text, "once, not from now on"


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_who_may_not_reveal_does_not_by_sending_the_form(hub: OpsHub, enter: Enter, role: str) -> None:
    before = reveals(hub)
    answer = enter(role).post(f"/holds/{hold_of(hub)}", page="/", purpose="out of curiosity alone")
    assert answer.status_code == 403
    assert PHONE not in answer.text
    assert reveals(hub) == before


def test_revealing_is_limited(hub: OpsHub, console: Console, enter: Enter) -> None:
    path = f"/holds/{hold_of(hub)}"
    visitor = enter("steward")
    while console.reveals.take("Souad@local-login") == 0.0:
        pass
    answer = visitor.post(path, page=path, purpose="once more, and again")
    assert answer.status_code == 429
    assert PHONE not in answer.text


def test_a_decision_needs_a_word_and_a_reason(hub: OpsHub, enter: Enter) -> None:
    visitor, path = enter("steward"), f"/holds/{hold_of(hub)}"
    for fields in ({"why": "the centre has confirmed it"}, {"decision": "release", "why": " no "}):
        assert visitor.post(f"{path}/decision", page=path, **fields).status_code == 400
    assert len(Holds(hub.parts).list()) == 2
    for role in ("operator", "auditor"):
        assert 'name="decision"' not in enter(role).get(path).text


def test_a_steward_releases_a_hold_in_their_own_name(hub: OpsHub, enter: Enter) -> None:
    number = Holds(hub.parts).list()[1].id
    path, why = f"/holds/{number}", "the centre has confirmed it"
    page = enter("steward").post(f"{path}/decision", page=path, decision="release", why=why)
    assert page.url.path == path
    assert "Released" in page.text
    assert why in page.text
    assert 'name="decision"' not in page.text, "it is decided"
    story = Holds(hub.parts).show(number, Veil(reveal=True))
    assert [one.golden for one in story.fields] == [OLD_PHONE], "what was held is asserted anew"
    kept = Audit(hub.parts).search(Search(action="release"), 10)
    assert [(one.entry.who, one.entry.account, one.entry.subject, one.entry.purpose) for one in kept] == [
        ("Souad", "Souad@local-login", f"hold {number}", why)
    ]
    again = enter("steward").post(f"{path}/decision", page="/", decision="reject", why="on second thoughts")
    assert again.status_code == 409


def test_a_mass_is_shown_and_rejected(hub: OpsHub, enter: Enter) -> None:
    brake = mass_of(hub)
    path = f"/masses/{brake.id}"
    assert f'href="{path}"' in enter("operator").get(f"/agencies/{brake.agency}").text
    shown = enter("operator").get(path).text
    assert "Many deletions at once" in shown
    assert f"{brake.held} changes" in shown
    assert "ZAOUIA" not in shown
    assert "Z•••" in shown
    assert 'name="decision"' not in shown
    answer = enter("steward").post(
        f"{path}/decision", page=path, decision="reject", why="an import that went wrong"
    )
    assert "Rejected" in answer.text
    assert Brakes(hub.parts).list() == []
    kept = Audit(hub.parts).search(Search(action="reject"), 10)
    assert [(one.entry.account, one.entry.subject) for one in kept] == [
        ("Souad@local-login", f"hold B{brake.id}")
    ]
    assert enter("operator").get("/masses/999").status_code == 404


def test_the_audit_trail_is_read_page_by_page_and_searched(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("auditor")
    first = visitor.get("/api/v1/audit?action=reveal").json()
    assert len(first["deeds"]) == 50
    rest = visitor.get(f"/api/v1/audit?action=reveal&before={first['older']}").json()
    assert rest["older"] is None
    ids = [one["id"] for one in first["deeds"] + rest["deeds"]]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) >= DEEDS
    page = visitor.post("/audit", page="/audit", who="Brahim", subject="hold 7")
    assert page.text.count("saw values in full") == 2, "in the form, and one deed"
    assert "a call of the centre" in page.text
    assert "Nothing was done that matches" in visitor.post("/audit", page="/audit", until="2001-01-31").text
    assert visitor.post("/audit", page="/audit", since="soon").status_code == 400
    assert visitor.get("/api/v1/audit?before=x").status_code == 400


def test_whom_and_what_one_searches_for_stands_in_no_address(enter: Enter) -> None:
    visitor = enter("auditor")
    assert '<form method="post" action="/audit"' in visitor.get("/audit").text
    everything, asked = visitor.get("/api/v1/audit").json(), visitor.get("/api/v1/audit?who=nobody").json()
    assert asked == everything


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ar", ("نظرة عامة", 'dir="rtl"', "وكالة", "الدور على القيّم")),
        ("fr", ("Vue d'ensemble", 'dir="ltr"', "Agence", "Au référent d'agir")),
    ],
)
def test_pages_speak_the_readers_language(
    hub: OpsHub, enter: Enter, language: str, words: tuple[str, ...]
) -> None:
    visitor = enter("auditor", language=language)
    page = visitor.get("/").text.replace("&#39;", "'")
    assert all(word in page for word in words), page
    for path in (f"/agencies/{hub.name('ads')}", f"/holds/{hold_of(hub)}", "/audit"):
        text = re.sub(r"<[^>]+>", " ", visitor.get(path).text)
        assert "Agency" not in text.replace("Agency-", "")
        assert "Since" not in text


def test_something_new_is_told_to_those_who_watch(
    hub: OpsHub, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stream of events says, as far as the first two looks that differ."""
    user = User("Souad", "souad", Role.OPERATOR)
    number = console.doors.begin(user, console.clock() + 100)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/live",
        "query_string": b"",
        "headers": [],
        "session": {"user": user.kept(), "until": console.clock() + 100, "number": number},
        "state": {"user": user},
        "app": build_console(console, b"x" * 32),
    }

    async def watch() -> list[str]:
        answer = await overview.live(Visit(console, Request(scope), {}))
        told: list[str] = []
        async for line in answer.body_iterator:  # type: ignore[attr-defined]
            if line.startswith("event: seen"):
                told.append(line)
                with hub.parts.store.begin() as tx:
                    tx.connection.exec_driver_sql("UPDATE undelivered SET state = 'waiting'")
            if len(told) == 2:
                break
        return told

    one, other = anyio.run(watch)
    console.doors.leave(number)
    monkeypatch.setattr(streams, "ADMITTED_S", 0.0)
    assert anyio.run(watch) == [], "a session that was called back is told nothing more"
    assert one != other
    assert re.fullmatch(r"event: seen\ndata: [0-9a-f]{16}\n\n", one)


def test_a_program_decides_in_its_own_name(hub: OpsHub, console: Console, enter: Enter) -> None:
    number, brake = hold_of(hub), Brakes(hub.parts).list(all_states=True)[0]
    path = f"/api/v1/holds/{number}/decision"
    word = {"decision": "reject", "why": "the form was old"}
    assert enter("steward").client.post(path, data=word).status_code == 403, "a session's cookie alone"
    assert enter("operator").post(path, page="/", **word).status_code == 403
    by, asked_for = Person("Samira", "samira@desk"), "asked for by the stewards"
    _, secret = Entrances(hub.parts).make("night desk", Role.STEWARD, None, 1, by, asked_for)
    with visiting(console) as program:
        program.client.headers["Authorization"] = f"Bearer {secret}"
        assert program.client.post(path, data={"decision": "reject"}).status_code == 400
        assert program.client.post(path, data=word).json() == {"state": "rejected", "new": True}
        assert program.client.post(path, data=word).json() == {"state": "rejected", "new": False}
        path = f"/api/v1/masses/{brake.id}/decision"
        assert program.client.post(path, data=word).status_code == 200
        assert program.client.post(path, data=word).json() == {"changes": 0}, "it is carried out already"
        assert program.client.post(path, data={**word, "decision": "release"}).status_code == 409
    kept = Audit(hub.parts).search(Search(action="reject"), 10)[-1].entry
    assert (kept.who, kept.subject, kept.purpose) == ("night desk", f"hold {number}", word["why"])
