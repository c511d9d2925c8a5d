"""An agency leaves: what it holds is listed, its access ends by the release, its word stays or ends."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ops_hub import PURPOSE, OpsHub, ops_hub
from support.changes import said
from support.store_hub import empty

from hub.errors import Fatal
from hub.local.stack import Stack
from hub.ops.parts import Parts
from hub.ops.retire import Retirement

BORN = datetime.date(1990, 5, 1)


@pytest.fixture(scope="module")
def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with ops_hub(stack, tmp_path_factory.mktemp("retire")) as hub:
        yield hub


@pytest.fixture
def hub(made: OpsHub) -> Iterator[OpsHub]:
    """Two people and an enrolment of ads, one of the people known to entraide, too."""
    empty(made.parts.store)
    people = [("ads", "1", "AB1"), ("entraide", "e1", "AB1"), ("ads", "2", "AB2")]
    made.take(
        *(
            said(made.key(agency, local_id), 1, "insert", cin=cin, birth_date=BORN, phone="+212611111111")
            for agency, local_id, cin in people
        )
    )
    enrolment = made.key("ads", "n", "enrolment")
    made.take(said(enrolment, 2, "insert", number="INS-2026-000001", person="1"))
    made.settle_due()
    before = {
        agency: agreement_of(made, agency).read_text(encoding="utf-8") for agency in ("ads", "entraide")
    }
    yield made
    for agency, text in before.items():
        agreement_of(made, agency).write_text(text, encoding="utf-8")


def agreement_of(hub: OpsHub, agency: str) -> Path:
    return Path(hub.environment["JISR_AGREEMENTS"]) / f"{agency}.yaml"


def ended_agreement(hub: OpsHub, agency: str = "ads") -> None:
    """The release in which the agreement of `agency` is over."""
    path = agreement_of(hub, agency)
    path.write_text(path.read_text(encoding="utf-8").replace("2099-12-31", "2020-12-31"), encoding="utf-8")


def live(hub: OpsHub, agency: str) -> int:
    statement = "SELECT count(*) AS n FROM record WHERE ended = 0 AND agency = %s"
    return int(hub.rows(statement, hub.name(agency))[0].n)


def test_while_the_agreement_is_in_force_it_is_only_shown(hub: OpsHub, tmp_path: Path) -> None:
    name, listing = hub.name("ads"), tmp_path / "delivered.csv"
    shown = hub.run("agency", "retire", name, "--list", str(listing))
    assert "its agreement is in force until 2099-12-31" in shown.stdout
    assert "person: 2 records of its own, of which 1 rest on its word alone" in shown.stdout
    assert "enrolment: 1 records of its own, of which 1 rest on its word alone" in shown.stdout
    with listing.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["record_type"] for row in rows) == ["enrolment", "person", "person"]
    assert all(len(row["entity"]) == 22 and row["told"] == "upsert" for row in rows)
    refused = hub.run("agency", "retire", name, "--apply", "--who", "Salma", "--why", "closed")
    assert refused.returncode == 1
    assert "let it end in the release first" in refused.stderr
    assert live(hub, "ads") == 3


def test_its_word_ends_and_others_keep_theirs(hub: OpsHub) -> None:
    ended_agreement(hub)
    asked = ["agency", "retire", hub.name("ads"), "--said", "withdrawn", "--json"]
    done = json.loads(hub.run(*asked, "--apply", "--who", "Salma", "--why", "closed").stdout)
    assert (done["in_force"], done["ended"], done["alone"]) == (False, 3, {"enrolment": 1, "person": 1})
    assert (live(hub, "ads"), live(hub, "entraide")) == (0, 1)
    (kept,) = hub.rows("SELECT who, action, detail FROM audit")
    assert tuple(kept) == ("Salma", "retire", "what it said withdrawn")
    # Once more changes nothing.
    again = json.loads(hub.run(*asked, "--apply", "--who", "Salma", "--why", "closed").stdout)
    assert again["ended"] == 0


def test_its_word_stays_and_what_it_holds_is_taken_back(hub: OpsHub) -> None:
    ended_agreement(hub)
    with closing(Parts(hub.parts.settings)) as parts:
        Retirement(parts).keep(hub.name("ads"), "Salma", "closed")
        # As the workers of that release do when they see that the terms are others.
        with parts.store.begin() as tx:
            tx.connection.exec_driver_sql("INSERT INTO due (entity, day) SELECT id, 0 FROM entity")
        while parts.intake.settle_due(100, lambda tx, done: None).due_taken:
            pass
        found = Retirement(parts).look(hub.name("ads"))
    assert found.delivered == {("person", "retract"): 2, ("enrolment", "retract"): 1}
    assert live(hub, "ads") == 3


def disability_at_ads(hub: OpsHub) -> bool:
    """Whether ads may hold that of the person with two records, for which it takes consent."""
    told = json.loads(hub.run("explain", "1", "--agency", hub.name("ads"), "--json").stdout)
    (ads,) = (one for one in told["explanation"]["agencies"] if one["agency"] == hub.name("ads"))
    return "disability" in ads["fields"]


def test_what_a_person_withdrew_there_stays_withdrawn(hub: OpsHub) -> None:
    """Given at one agency, taken back at another, which leaves: nobody has consented anew by that."""
    hub.take(said(hub.key("health", "h"), 3, "insert", cin="AB1", birth_date=BORN, disability="motor"))
    paper = {"purpose": PURPOSE, "recipients": [hub.name("ads")]}
    hub.take(said(hub.key("ads", "c", "consent"), 4, "insert", person="1", status="given", **paper))
    assert disability_at_ads(hub)
    taken_back = said(
        hub.key("entraide", "w", "consent"), 5, "insert", person="e1", status="withdrawn", **paper
    )
    hub.take(taken_back)
    assert not disability_at_ads(hub)

    ended_agreement(hub, "entraide")
    asked = ["agency", "retire", hub.name("entraide"), "--said", "withdrawn"]
    decided = [*asked, "--apply", "--who", "Salma", "--why", "closed"]
    assert "1 withdrawn consents" in hub.run(*asked).stdout
    assert json.loads(hub.run(*decided, "--json").stdout)["ended"] == 1
    hub.settle_due()
    assert live(hub, "entraide") == 1
    assert not disability_at_ads(hub)
    assert json.loads(hub.run(*decided, "--json").stdout)["ended"] == 0


def test_an_agency_that_nobody_knows(hub: OpsHub) -> None:
    with pytest.raises(Fatal, match="no agency 'tourism'"):
        Retirement(hub.parts).look("tourism")
