"""Agreements change: what the planned ones would do is what they do when they are in force (R17, R20)."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ops_hub import PURPOSE, OpsHub, ops_hub
from support.changes import said
from support.store_hub import empty

from hub.core.crosswalk import Held
from hub.core.projection import UPSERT
from hub.local.stack import Stack
from hub.ops.parts import Parts
from hub.store.disclosures import end_reprojections

BORN = datetime.date(1990, 5, 1)
_HELD = msgspec.msgpack.Decoder(dict[str, Held]).decode


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with ops_hub(stack, tmp_path_factory.mktemp("agreements")) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub) -> OpsHub:
    """Three people of entraide, one of them with an enrolment and known to health, too."""
    empty(made.parts.store)
    values: dict[str, Any] = {"birth_date": BORN, "phone": "+212611111111", "sex": "female"}
    people = [
        ("entraide", "1", "AB1"),
        ("entraide", "2", "AB2"),
        ("entraide", "3", None),
        ("health", "h", "AB1"),
    ]
    made.take(*(said(made.key(a, i), 1, "insert", **values, cin=cin) for a, i, cin in people))
    enrolment = made.key("entraide", "n", "enrolment")
    made.take(said(enrolment, 2, "insert", number="INS-2026-000001", person="1"))
    made.settle_due()
    return made


def planned(hub: OpsHub, folder: Path, **edits: tuple[str, str]) -> Path:
    """A copy of the agreements in which the text of some is another; an agency edited to nothing is gone."""
    folder = folder / "planned"
    shutil.copytree(hub.environment["JISR_AGREEMENTS"], folder)
    for agency, (before, after) in edits.items():
        path = folder / f"{agency}.yaml"
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
        if not after:
            path.unlink()
    return folder


def preview(hub: OpsHub, folder: Path, *options: str) -> dict[str, Any]:
    done = hub.run("agreement", "preview", str(folder), "--json", *options)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def changes(hub: OpsHub, shown: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (one.pop("agency").removesuffix(f"-{hub.suffix}"), one.pop("record_type")): one
        for one in shown["changes"]
    }


def report(hub: OpsHub, *agency: str) -> dict[str, Any]:
    done = hub.run("agreement", "report", *agency, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def moved(hub: OpsHub, reprojections: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """(Agency, record type) → what the reprojections moved there."""
    return {
        (one.pop("agency").removesuffix(f"-{hub.suffix}"), one.pop("record_type")): one
        for reprojection in reprojections
        for one in reprojection["changes"]
    }


def holders(hub: OpsHub) -> dict[tuple[str, str], int]:
    """How many entities each agency was last told to hold."""
    found: dict[tuple[str, str], int] = {}
    for row in hub.rows("SELECT record_type, held FROM entity"):
        for agency, held in _HELD(row.held).items():
            place = agency.removesuffix(f"-{hub.suffix}"), row.record_type
            found[place] = found.get(place, 0) + (held.operation == UPSERT)
    return found


def test_the_same_agreements_change_nothing(hub: OpsHub, tmp_path: Path) -> None:
    shown = preview(hub, planned(hub, tmp_path))
    assert (shown["agreements"], shown["changes"]) == ([], [])
    assert shown["looked"] == {"person": 3, "enrolment": 1}


def test_narrower_and_wider(hub: OpsHub, tmp_path: Path) -> None:
    folder = planned(
        hub, tmp_path, ads=("commune, phone, ", "commune, "), region=("sex, ", "sex, massar_code, ")
    )
    shown = preview(hub, folder)
    assert changes(hub, shown) == {
        # Of a field of which nobody has spoken nothing is told, so a wider agreement alone changes nothing.
        ("ads", "person"): {"begun": 0, "ended": 0, "gained": {}, "lost": {"phone": 3}},
    }
    assert [line.partition(": ")[2].partition(" for")[0] for line in shown["agreements"]] == [
        "says of person: no longer phone",
        "may hold of person",
        "may hold of person",
    ]
    text = hub.run("agreement", "preview", str(folder)).stdout
    assert "phone: would be taken back, of 3" in text
    assert "nothing was changed" in text
    assert preview(hub, folder, "--limit", "2")["looked"]["person"] == 2


def test_what_refers_to_a_person_goes_with_the_person(hub: OpsHub, tmp_path: Path) -> None:
    """ads may hold nobody any more; its agreement on enrolments is as it was, yet they go too (R20)."""
    folder = planned(hub, tmp_path, ads=("until: 2099-12-31", "until: 2020-12-31"))
    ended = {"begun": 0, "gained": {}, "lost": {}}
    assert changes(hub, preview(hub, folder)) == {
        ("ads", "person"): {"ended": 3, **ended},
        ("ads", "enrolment"): {"ended": 1, **ended},
    }
    path = folder / "ads.yaml"
    text = path.read_text(encoding="utf-8").replace("until: 2020-12-31", "until: 2099-12-31")
    without = text[: text.index("  person: [{")] + text[text.index("  enrolment: [{") :]
    path.write_text(without, encoding="utf-8")
    assert changes(hub, preview(hub, folder)) == {
        ("ads", "person"): {"ended": 3, **ended},
        ("ads", "enrolment"): {"ended": 1, **ended},
    }


def test_what_was_foreseen_is_what_comes(hub: OpsHub, tmp_path: Path) -> None:
    """As the workers of the next release do when they see that the terms are others; and that is what the
    report tells afterwards."""
    folder = planned(
        hub,
        tmp_path,
        # health may have rows made: two people who are new to it.
        health=("create: false", "create: true"),
        region=("agency", ""),
        ads=("commune, phone, ", "commune, "),
    )
    with hub.parts.store.begin() as tx:
        hub.parts.joining.apply_terms(tx, hub.parts.intake.day)
    before = holders(hub)
    foreseen = changes(hub, preview(hub, folder))
    assert foreseen["health", "person"]["begun"] == 2
    assert foreseen["region", "person"]["ended"] == 3
    with closing(Parts(hub.parts.settings.model_copy(update={"agreements": folder}))) as parts:
        with parts.store.begin() as tx:
            assert parts.joining.apply_terms(tx, parts.intake.day)
        parts.intake.settle_due(1, lambda tx, done: None)
        (begun,) = report(hub)["reprojections"]
        assert (begun["record_type"], begun["why"], begun["ended_at"]) == ("person", "agreement", None)
        assert (begun["entities"], begun["due"]) == (3, 2)
        while parts.intake.settle_due(100, lambda tx, done: None).due_taken:
            pass
    with hub.parts.store.begin() as tx:
        end_reprojections(tx.connection)
    after = holders(hub)
    came = {place: after.get(place, 0) - before.get(place, 0) for place in before.keys() | after.keys()}
    assert {place: n for place, n in came.items() if n} == {
        place: one["begun"] - one["ended"] for place, one in foreseen.items() if one["begun"] != one["ended"]
    }
    told = report(hub)
    assert [one for one in told["reprojections"] if one["ended_at"] is None or one["due"]] == []
    assert moved(hub, told["reprojections"]) == {
        place: {"told": one.pop("gained"), "taken_back": one.pop("lost"), **one, "unknown": 0}
        for place, one in foreseen.items()
    }
    (words,) = (one["agreed"] for one in told["reprojections"] if one["record_type"] == "person")
    assert {(one["agency"], *one["no_longer"]) for one in words} > {(hub.name("ads"), "phone")}
    assert told["others"] == {}
    # Whoever asks for one agency hears of it alone, and of one that has left, too.
    assert {place[0] for place in moved(hub, report(hub, hub.name("region"))["reprojections"])} == {"region"}
    text = hub.run("agreement", "report").stdout
    assert f"{hub.name('ads')} may hold for {PURPOSE} (rows made): no longer phone" in text
    assert "phone: taken back, of 3" in text
    assert "all that was published has been acknowledged" in text
    nobody = hub.run("agreement", "report", "tourism")
    assert (nobody.returncode, "no agency 'tourism'" in nobody.stderr) == (1, True)


def test_consents_and_records_that_end_are_told_apart(hub: OpsHub) -> None:
    """What is taken back since a person withdraws a consent, or an agency deletes a record, is counted."""
    person, consent = hub.key("health", "h"), hub.key("health", "c", "consent")
    hub.take(said(person, 5, "update", disability="motor"))
    given = {"person": "h", "purpose": PURPOSE, "recipients": [hub.name("ads")], "status": "given"}
    hub.take(said(consent, 6, "insert", **given))
    hub.take(said(consent, 7, "update", status="withdrawn"))
    hub.take(said(hub.key("entraide", "2"), 8, "delete"))
    others = report(hub)["others"]
    where = {"agency": hub.name("ads"), "record_type": "person", "begun": 0, "unknown": 0}
    assert others["consent"] == [
        {**where, "ended": 0, "told": {"disability": 1}, "taken_back": {"disability": 1}}
    ]
    assert {**where, "ended": 1, "told": {}, "taken_back": {}} in others["record"]
    assert "by consents that were given, withdrawn or have run out" in hub.run("agreement", "report").stdout


def test_what_an_earlier_release_told_is_not_guessed(hub: OpsHub, tmp_path: Path) -> None:
    """Of which fields it told an agency, the hub kept nothing then."""
    for row in hub.rows("SELECT id, held FROM entity"):
        held = {agency: one[:4] for agency, one in msgspec.msgpack.decode(row.held).items()}
        with hub.parts.store.begin() as tx:
            tx.connection.exec_driver_sql(
                "UPDATE entity SET held = %s WHERE id = %s", (msgspec.msgpack.encode(held), row.id)
            )
    folder = planned(hub, tmp_path, ads=("commune, phone, ", "commune, "))
    with closing(Parts(hub.parts.settings.model_copy(update={"agreements": folder}))) as parts:
        with hub.parts.store.begin() as tx:
            hub.parts.joining.apply_terms(tx, hub.parts.intake.day)
            parts.joining.apply_terms(tx, parts.intake.day)
        while parts.intake.settle_due(100, lambda tx, done: None).due_taken:
            pass
    assert moved(hub, report(hub)["reprojections"]) == {
        ("ads", "person"): {"begun": 0, "ended": 0, "told": {}, "taken_back": {}, "unknown": 3}
    }


def test_agreements_are_shown_in_words(hub: OpsHub) -> None:
    name = hub.name("ads")
    text = hub.run("agreement", "show", name).stdout
    assert f"{name}: وكالة · Agence · Agency; until 2099-12-31" in text
    assert "on the ground of consent; rows that it has are updated, none is made" in text
    (one,) = json.loads(hub.run("agreement", "show", name, "--json").stdout)
    assert one["receives"]["enrolment"][0]["legal_basis"] == "public-mission"
    refused = hub.run("agreement", "show", "tourism")
    assert (refused.returncode, "no agreement with 'tourism'" in refused.stderr) == (1, True)


def test_agreements_that_cannot_be_read_are_refused_with_the_place(hub: OpsHub, tmp_path: Path) -> None:
    folder = planned(hub, tmp_path, ads=("sex, ", "gender, "))
    refused = hub.run("agreement", "preview", str(folder))
    assert refused.returncode == 1
    assert "ads.yaml:" in refused.stderr
    assert "gender" in refused.stderr
