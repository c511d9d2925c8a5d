"""The queue of pairs in the console: evidence, what would follow and what does, the decision, its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from console_people import entity, pairs
from ops_hub import OpsHub, ops_hub
from support.console import Visitor

from hub.console import reviews as console_reviews
from hub.lanes.messages import hub_id, hub_name
from hub.local.stack import Stack
from hub.ops.audit import Audit
from hub.ops.reviews import Reviews
from hub.store.audit import Search

Enter = Callable[..., Visitor]
COUNT = 6


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("console")
    with ops_hub(stack, folder) as made:
        pairs(made, COUNT)
        yield made


def path_of(hub: OpsHub, number: int) -> str:
    """The review of one of the pairs."""
    key = hub.key("ads", f"PAIR-A{number}")
    found = next(one for one in Reviews(hub.parts).list(all_states=True) if key in (one.a_key, one.b_key))
    return f"/reviews/{hub_name(found.a)}/{hub_name(found.b)}"


def both(hub: OpsHub, number: int) -> tuple[str, str]:
    """Whom the two records of a pair stand for."""
    keys = hub.key("entraide", f"PAIR-E{number}"), hub.key("ads", f"PAIR-A{number}")
    return entity(hub, keys[0]), entity(hub, keys[1])


def held(hub: OpsHub, entities: Iterable[str]) -> set[tuple[str, str, str, bytes]]:
    """(Entity, agency, operation, digest) of what each agency was last told of these."""
    with hub.parts.looking() as tx:
        found = tx.entities({hub_id(one) for one in entities}).entities.values()
    return {
        (hub_name(one.id), agency, last.operation, last.digest)
        for one in found
        for agency, last in one.held.items()
    }


@pytest.mark.parametrize("role", ["operator", "steward", "auditor"])
def test_the_queue_is_shown_without_values(hub: OpsHub, enter: Enter, role: str) -> None:
    visitor = enter(role)
    for answer in (visitor.get("/reviews"), visitor.get("/api/v1/reviews")):
        assert answer.status_code == 200
        assert "PAIR-" not in answer.text
        assert "PA0" not in answer.text
    assert "They share an identifier, and something contradicts" in visitor.get("/reviews").text


def test_an_agency_sees_no_reviews(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("agency", "ads")
    for path in ("/reviews", path_of(hub, 0), "/api/v1/reviews"):
        assert visitor.get(path).status_code == 403


def test_the_evidence_says_what_agrees_and_what_contradicts(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("operator")
    found = visitor.get(f"/api/v1{path_of(hub, 0)}").json()
    likeness = {one["name"]: one["likeness"] for one in found["fields"]}
    assert likeness == {"cin": "agrees", "given_name_fr": "agrees", "birth_date": "contradicts"}
    assert {one["likeness"] for one in visitor.get(f"/api/v1{path_of(hub, 1)}").json()["fields"]} == {
        "agrees",
        "one_sided",
    }
    page = visitor.get(path_of(hub, 0)).text
    for value in ("PA0", "Zineb", "ZINEB", "1990", "1991", "PAIR-"):
        assert value not in page
    assert "contradicts" in page
    assert "A steward decides." in page


def test_what_would_follow_is_said_and_changes_nothing(hub: OpsHub, enter: Enter) -> None:
    before = hub.rows("SELECT id, version, xmin::text FROM entity ORDER BY id")
    found = enter("steward").get(f"/api/v1{path_of(hub, 1)}").json()
    assert (found["same"]["together"], found["same"]["joined"]) == (True, 2)
    assert len(found["same"]["moving"]) == 1
    told = {(one["agency"], one["operation"]) for one in found["same"]["informed"]}
    assert (hub.name("ads"), "upsert") in told
    assert (hub.name("entraide"), "merged") in told
    assert found["different"] == {"together": False, "joined": 1, "moving": [], "informed": []}
    assert hub.rows("SELECT id, version, xmin::text FROM entity ORDER BY id") == before


def test_what_was_foretold_is_what_happens(hub: OpsHub, enter: Enter) -> None:
    path = path_of(hub, 1)
    visitor = enter("steward")
    foretold = visitor.get(f"/api/v1{path}").json()["same"]["informed"]
    before = held(hub, entities := both(hub, 1))
    done = visitor.post(f"{path}/decision", page=path, decision="same", why="she showed both papers")
    assert done.status_code == 200
    assert "Decided: the same." in done.text
    assert str(done.url.path) != path, "on to the next"
    one, other = both(hub, 1)
    assert one == other
    deed = Audit(hub.parts).search(Search(action="same"), 1)[0].entry
    assert (deed.who, deed.account, deed.purpose) == (
        "Souad",
        "Souad@local-login",
        "she showed both papers",
    )
    told = {(agency, word) for _, agency, word, _ in held(hub, entities) - before}
    assert told == {(one["agency"], one["operation"]) for one in foretold}
    page = visitor.get(path).text
    assert "Decided by Souad: she showed both papers" in page
    again = visitor.get(f"/api/v1{path}").json()
    assert (again["state"], again["place"]) == ("same", None)
    assert again["different"]["together"] is False
    assert len(again["different"]["moving"]) == 1, "it can be taken back"


def test_different_is_decided_too_and_taken_back(hub: OpsHub, enter: Enter) -> None:
    path = f"/api/v1{path_of(hub, 2)}/decision"
    visitor = enter("steward")
    ruled = [
        visitor.post(path, page="/records", decision=word, why="asked the centre").json()
        for word in ("different", "different", "same", "different")
    ]
    assert ruled == [
        {"new": True, "together": False},
        {"new": False, "together": False},
        {"new": True, "together": True},
        {"new": True, "together": False},
    ]
    assert len(set(both(hub, 2))) == 2


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_only_a_steward_decides(hub: OpsHub, enter: Enter, role: str) -> None:
    visitor, path = enter(role), path_of(hub, 3)
    page = "/records" if role == "operator" else "/audit"
    for prefix in ("", "/api/v1"):
        answer = visitor.post(f"{prefix}{path}/decision", page=page, decision="same", why="why not")
        assert answer.status_code == 403
    assert len(set(both(hub, 3))) == 2


@pytest.mark.parametrize(
    "form", [{"decision": "same"}, {"why": "because"}, {"decision": "x", "why": "because"}]
)
def test_a_decision_without_a_choice_or_a_reason_is_none(
    hub: OpsHub, enter: Enter, form: dict[str, str]
) -> None:
    path = path_of(hub, 3)
    answer = enter("steward").post(f"{path}/decision", page=path, **form)
    assert answer.status_code == 400
    assert len(set(both(hub, 3))) == 2


def test_a_decision_without_the_forms_token_is_none(hub: OpsHub, enter: Enter) -> None:
    path = path_of(hub, 3)
    answer = enter("steward").client.post(f"{path}/decision", data={"decision": "same", "why": "because"})
    assert answer.status_code == 403
    assert len(set(both(hub, 3))) == 2


def test_values_are_shown_for_a_purpose_that_is_kept(hub: OpsHub, enter: Enter) -> None:
    path = path_of(hub, 3)
    visitor = enter("steward")
    shown = visitor.post(path, page=path, purpose="to compare the two cards")
    assert '<bdi dir="auto">PA3</bdi>' in shown.text
    assert "PAIR-E3" in shown.text
    kept = Audit(hub.parts).search(Search(action="reveal"), 1)[0].entry
    assert kept.subject == "review " + path.removeprefix("/reviews/").replace("/", " ")
    assert "PA3" not in visitor.get(path).text
    file = f"/records/{both(hub, 3)[0]}"
    assert "to compare the two cards" in enter("auditor").get(file).text, "that was seen of the file, too"


def test_a_long_queue_is_read_page_by_page(
    hub: OpsHub, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_reviews, "PAGE", 2)
    visitor, seen, after = enter("operator"), [], ""
    while True:
        found = visitor.get(f"/api/v1/reviews{after}").json()
        seen += [(one["a"], one["b"]) for one in found["pairs"]]
        if found["more"] is None:
            break
        assert len(found["pairs"]) == 2
        assert f'href="/reviews?after={found["more"]}"' in visitor.get(f"/reviews{after}").text
        after = f"?after={found['more']}"
    open_ones = Reviews(hub.parts).list()
    assert seen == [(hub_name(one.a), hub_name(one.b)) for one in open_ones]
    assert len(seen) >= 3


def test_one_goes_from_pair_to_pair(hub: OpsHub, enter: Enter) -> None:
    queue = [f"{hub_name(one.a)}.{hub_name(one.b)}" for one in Reviews(hub.parts).list()]
    visitor = enter("operator")
    for number, name in enumerate(queue):
        found = visitor.get("/api/v1/reviews/" + name.replace(".", "/")).json()
        assert (found["place"], found["total"]) == (number + 1, len(queue))
        assert found["earlier"] == (queue[number - 1] if number else None)
        assert found["later"] == (queue[number + 1] if number + 1 < len(queue) else None)


@pytest.mark.parametrize("path", ["/reviews/x/y", f"/reviews/{'A' * 22}/{'A' * 22}", "/reviews?after=x"])
def test_a_pair_that_is_none_is_not_found(enter: Enter, path: str) -> None:
    visitor = enter("operator")
    assert visitor.get(path).status_code == 404
    assert visitor.get(f"/api/v1{path}").status_code == 404


@pytest.mark.parametrize(
    ("language", "words"),
    [("ar", ("القرائن", "متطابق", "ما يترتب عن القرار")), ("fr", ("Les indices", "concorde", "Décider"))],
)
def test_reviews_speak_the_readers_language(
    hub: OpsHub, enter: Enter, language: str, words: tuple[str, ...]
) -> None:
    page = enter("steward", language=language).get(path_of(hub, 4)).text
    assert [word for word in words if word not in page] == []
    assert "agrees" not in page.replace('is-agrees"', "")
    for key in ("j", "k", "s", "d", "?", "Enter"):
        assert f"<kbd>{key}</kbd>" in page
