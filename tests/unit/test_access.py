"""What each Kafka user may do, derived from the agreements; what a cluster makes of it is tested on one."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.cli import jisr
from hub.contracts import topics
from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.ops.access import Access, is_ours, release_access, told

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
TODAY = datetime.date(2026, 3, 2)


def allowed(today: datetime.date = TODAY) -> Access:
    return release_access(CATALOGUE.partitions, AGREEMENTS.values(), "jisr-hub", today)


def of(user: str) -> set[str]:
    return {told(right).removeprefix(f"{user} may ") for right in allowed().rights if user in right.principal}


def test_every_kind_of_topic_of_an_agency_says_what_the_agency_may_do() -> None:
    kinds = {
        spec.name.rpartition(".")[2] for spec in topics.agency_topics("a", ["person"], CATALOGUE.partitions)
    }
    assert kinds == set(topics.AGENCY_RIGHTS)


@pytest.mark.parametrize("agency", AGREEMENTS)
def test_an_agency_may_do_what_is_agreed_and_nothing_else(agency: str) -> None:
    agreement = AGREEMENTS[agency]
    said = {
        f"{verb} topic {agency}.{kind}.changes" for kind in agreement.publishes for verb in ("read", "write")
    }
    held = {f"read topic {agency}.{kind}.inbox" for kind in agreement.record_types}
    rest = {f"read topic {agency}.{kind}" for kind in ("notices", "dlq", "control", "state")}
    rest |= {f"write topic {agency}.{kind}" for kind in ("receipts", "state")}
    assert of(f"jisr-agency-{agency}") == said | held | rest | {f"read group {agency}.…"}


def test_an_agency_that_only_hears_says_nothing() -> None:
    hears = dataclasses.replace(AGREEMENTS["ads"], publishes={})
    rights = release_access(CATALOGUE.partitions, [hears], "jisr-hub", TODAY).rights
    lines = {told(right) for right in rights}
    assert "jisr-agency-ads may read topic ads.person.inbox" in lines
    assert not any("jisr-agency-ads" in line and ".changes" in line for line in lines)


def test_the_hub_reads_all_and_writes_what_agencies_do_not() -> None:
    hub = of("jisr-hub")
    assert {"read topic ads.person.changes", "write topic ads.person.inbox", "write topic hub.links"} <= hub
    assert {"write topic ads.dlq", "write topic ads.notices", "read topic ads.receipts"} <= hub
    assert not {"write topic ads.person.changes", "write topic ads.receipts"} & hub


def test_nobody_is_everybody() -> None:
    rights = allowed().rights
    assert {right.principal for right in rights} == {f"User:{user}" for user in allowed().users}
    assert all(is_ours(right.principal.removeprefix("User:")) for right in rights)
    assert not any("*" in right.resource_pattern.resource_name for right in rights)


def test_an_agreement_that_is_over_is_known() -> None:
    last = max(one.until for one in AGREEMENTS.values())
    assert not allowed().ended
    users = {f"jisr-agency-{name}" for name in AGREEMENTS}
    assert allowed(last + datetime.timedelta(days=1)).ended == users


def test_the_plan_asks_no_kafka() -> None:
    answer = CliRunner().invoke(jisr, ["access", "plan"], env={"JISR_BOOTSTRAP": "127.0.0.1:9"})
    assert answer.exit_code == 0, answer.output
    assert sorted(answer.output.splitlines()) == sorted(map(told, allowed().rights))
