"""What pipelines of connectors get wrong, and must come out right here (docs/comparison.md).

Each test is one fault that was seen in Kafka Connect with Debezium, on one running stack, and looks from the
outside: at the agencies' databases, and at how many messages Kafka's topics hold afterwards.
"""

from __future__ import annotations

import itertools
import urllib.request

import fastavro
import pytest

from faults.kafka_log import Logged, read_topics
from faults.schedule import Step
from faults.stage import Stage
from hub.contracts import topics
from hub.contracts.wire import read, unframe
from hub.local.demo.story.people import ADS_PHONE, ENTRAIDE_PHONE

_SERIALS = itertools.count(50_000_000)
# Whom each test edits: other people in each, since agencies that contend over one are not answered for ever.
_WHO = itertools.count()
# Several times as long as a connector waits before it looks again for what is away.
_LOOKED_FOR = 4
_KILLED = ("connector-ads", "hub-0", "connector-entraide", "hub-1")
_EDITS_AROUND_A_KILL = 12

Log = dict[str, list[Logged]]


class Person:
    """Somebody whom Entraide and ADS both know, and their telephone at each."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._number = next(_WHO) % len(stage.staff.cast)
        self.at_entraide, self.at_ads = stage.staff.cast[self._number]

    def edit(self, agency: str) -> str:
        """The agency's staff give them another telephone; the number."""
        step = Step("edit", f"phone_at_{agency}", self._number, next(_SERIALS))
        self._stage.staff.edit(step)
        return f"+2127{step.serial:08d}"

    def phones(self) -> tuple[str, str]:
        desks = self._stage.region.desks
        return (
            desks["entraide"].one(ENTRAIDE_PHONE, id=self.at_entraide),
            desks["ads"].one(ADS_PHONE, id=self.at_ads),
        )

    def become(self, phone: str) -> None:
        """Wait until both agencies have this number."""
        self._stage.until(lambda: self.phones() == (phone, phone), f"{phone} at both agencies")


def traffic(stage: Stage, ending: str) -> Log:
    """Every message of the topics of persons with this ending."""
    agencies = [name for name, one in stage.region.agreements.items() if "person" in one.record_types]
    return dict(read_topics(stage.region.bootstrap, [f"{agency}.person.{ending}" for agency in agencies]))


def since(before: Log, now: Log) -> Log:
    """What was added meanwhile, by agency."""
    known = {one for messages in before.values() for one in messages}
    added = {topics.split(name)[0]: [one for one in log if one not in known] for name, log in now.items()}
    return {agency: messages for agency, messages in added.items() if messages}


def versions(stage: Stage, added: Log) -> list[tuple[str, str, int]]:
    """(agency, entity, version) of projections, as often as each was told."""
    schema = fastavro.parse_schema(stage.region.events.projection(stage.region.catalogue.records["person"]))
    told = [(agency, read(schema, unframe(one.value)[1])) for agency, log in added.items() for one in log]
    return [(agency, one["entity"], one["version"]) for agency, one in told]


def counts(added: Log) -> dict[str, int]:
    return {agency: len(messages) for agency, messages in added.items()}


@pytest.mark.parametrize(("editor", "other"), [("entraide", "ads"), ("ads", "entraide")])
def test_an_edit_at_any_agency_is_carried_to_the_others_and_ends_there(
    stage: Stage, editor: str, other: str
) -> None:
    """One way only, there; and with a pipeline back, an echo for ever."""
    stage.settle()
    said, told = traffic(stage, "changes"), traffic(stage, "inbox")
    person = Person(stage)
    person.become(person.edit(editor))
    stage.settle()
    assert counts(since(said, traffic(stage, "changes"))) == {editor: 1}
    delivered = counts(since(told, traffic(stage, "inbox")))
    assert other in delivered
    assert set(delivered.values()) == {1}


def test_two_agencies_that_edit_one_field_at_once_end_alike_and_do_not_flip(stage: Stage) -> None:
    stage.settle()
    said, told = traffic(stage, "changes"), traffic(stage, "inbox")
    person, edited = Person(stage), []
    stage.scene.at_once(
        lambda: edited.append(person.edit("entraide")), lambda: edited.append(person.edit("ads"))
    )
    stage.settle()
    assert len(set(person.phones())) == 1
    assert set(person.phones()) < set(edited)
    assert counts(since(said, traffic(stage, "changes"))) == {"entraide": 1, "ads": 1}
    # A projection for each edit, and one more where it is overtaken while it is published (R26): nobody goes
    # on contradicting anybody.
    assert max(counts(since(told, traffic(stage, "inbox"))).values()) <= 4


def test_an_older_message_that_comes_again_overwrites_nothing(stage: Stage) -> None:
    stage.settle()
    said, told = traffic(stage, "changes"), traffic(stage, "inbox")
    person = Person(stage)
    person.become(person.edit("entraide"))
    newest = person.edit("ads")
    person.become(newest)
    stage.settle()
    for log in (since(said, traffic(stage, "changes")), since(told, traffic(stage, "inbox"))):
        for message in sorted(itertools.chain(*log.values()), key=lambda one: one.appended_ms):
            stage.stock.send(message.topic, message.key, message.value)
    said = traffic(stage, "changes")
    stage.settle()
    assert person.phones() == (newest, newest)
    assert since(said, traffic(stage, "changes")) == {}


@pytest.mark.parametrize("kind", ["rubbish", "unknown_schema", "invalid"])
def test_a_message_that_nobody_can_use_stops_nobody(stage: Stage, kind: str) -> None:
    """It stands under the very key of the record that is edited next."""
    person = Person(stage)
    stage.stock.poison(Step("poison", kind, serial=next(_SERIALS)), str(person.at_ads))
    person.become(person.edit("ads"))
    stage.settle()
    assert stage.verdict() == []


_REFUSED = "SELECT state, code FROM jisr_retry"
_FORBID = "ALTER TABLE beneficiaire_contact ADD CONSTRAINT no_such CHECK (telephone <> '{}')"
_ALLOW = "ALTER TABLE beneficiaire_contact DROP CONSTRAINT no_such"


def test_a_row_that_one_agency_refuses_delays_neither_its_neighbours_nor_the_other_agencies(
    stage: Stage,
) -> None:
    ads, entraide = (stage.region.desks[name] for name in ("ads", "entraide"))
    refused, welcome = Person(stage), Person(stage)
    before = refused.phones()[1]
    # The number of the very next edit.
    serial = next(_SERIALS) + 1
    ads.do(_FORBID.format(f"+2127{serial:08d}"))
    phone = refused.edit("entraide")
    assert phone == f"+2127{serial:08d}"
    welcome.become(welcome.edit("entraide"))
    stage.settle()
    assert [state for state, _ in ads.ask(_REFUSED)] == ["refused"]
    assert refused.phones() == (phone, before)
    assert entraide.one(ENTRAIDE_PHONE, id=refused.at_entraide) == phone
    ads.do(_ALLOW)
    refused.become(refused.edit("entraide"))
    stage.settle()
    assert ads.ask(_REFUSED) == []
    assert stage.verdict() == []


def test_a_target_that_was_away_comes_back_by_itself(stage: Stage) -> None:
    """As long as it takes until its connector has looked for it in vain, again and again."""
    people = [Person(stage) for _ in range(3)]
    before = looked_for(stage, "ads")
    stage.act(Step("away", "ads"))
    phones = [person.edit("entraide") for person in people]
    stage.until(lambda: looked_for(stage, "ads") >= before + _LOOKED_FOR, "the connector has tried")
    stage.act(Step("back", "ads"))
    for person, phone in zip(people, phones, strict=True):
        person.become(phone)
    stage.settle()
    assert stage.verdict() == []


def looked_for(stage: Stage, agency: str) -> int:
    """How often the agency's sink has waited for its database."""
    port = stage.region.stack.folder.read_state()["ports"][f"connector-{agency}"]
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        told = answer.read().decode()
    counted = (line for line in told.splitlines() if line.startswith(_RECONNECTS) and 'side="sink"' in line)
    return int(sum(float(line.split()[-1]) for line in counted))


_RECONNECTS = "jisr_connector_reconnects_total{"


def test_a_process_that_is_killed_repeats_no_more_than_what_it_held(stage: Stage) -> None:
    """Everything since the last flush, there. Here a position moves with its effects."""
    stage.settle()
    said, told = traffic(stage, "changes"), traffic(stage, "inbox")
    person = [Person(stage) for _ in range(6)]
    for victim in _KILLED:
        stage.region.stack.wait_ready(victim)
        for number in range(_EDITS_AROUND_A_KILL):
            if number == _EDITS_AROUND_A_KILL // 2:
                stage.region.stack.kill(victim)
            person[number % len(person)].edit("ads" if number % 2 else "entraide")
    stage.settle()
    assert stage.verdict() == []
    changes = list(itertools.chain(*since(said, traffic(stage, "changes")).values()))
    repeated = len(changes) - len({(one.topic, one.key, one.value) for one in changes})
    # Half of the edits around a death are at the agency whose connector dies, and as many at the other's.
    assert repeated <= _EDITS_AROUND_A_KILL
    deliveries = versions(stage, since(told, traffic(stage, "inbox")))
    # What a dead worker left is said once more to the three agencies that may know a telephone.
    assert len(deliveries) - len(set(deliveries)) <= 3 * _EDITS_AROUND_A_KILL
