"""A store that was lost or set back, built anew from what the hub had published (R18, R31)."""

from __future__ import annotations

import datetime
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaAdminClient
from ops_hub import OpsHub, ops_hub, wait_until
from support.changes import said

from hub.cli import jisr
from hub.contracts import topics
from hub.core.projection import UPSERT
from hub.errors import Fatal
from hub.lanes.converged import Converged
from hub.lanes.publication import outbound, read_named, restated_records
from hub.local.stack import Stack
from hub.ops.behind import StoreBehind, StoreCheck
from hub.ops.kept import ForeignKey
from hub.ops.log_reader import LogReader
from hub.ops.parts import Parts
from hub.ops.rebuild import Counts, Rebuild, Report
from hub.ops.reviews import Reviews
from hub.ops.said import Interpreter, Said
from hub.ops.situation import EMPTY, LEVEL, OLDER, Situation, Surroundings
from hub.ops.words import Words
from hub.store.tables import metadata
from hub.store.transaction import Transaction

BORN = datetime.date(1990, 5, 1)
TABLES = ", ".join(f'"{table}"' for table in metadata.tables)
STATES = """
    SELECT id, agency, record_type, local_id, incarnation, entity, born, seen, ended, linked, asserts
    FROM record
"""
HOLDINGS = "SELECT agency, record_type, sum(entities) FROM holding GROUP BY 1, 2 HAVING sum(entities) > 0"
AUDITED = """
    INSERT INTO audit (who, account, action, subject, purpose) VALUES ('S', 's@h', 'x', 'y', 'z') RETURNING 1
"""


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    """A hub whose topics are new: what other tests' hubs published there was named with other keys."""
    forget_published(stack.endpoints.bootstrap)
    with ops_hub(stack, tmp_path_factory.mktemp("ops"), joining=["region"]) as made:
        yield made
    forget_published(stack.endpoints.bootstrap)


def forget_published(bootstrap: str) -> None:
    """Remove the hub's own topics, which every test that needs them makes."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        names = [name for name in admin.list_topics() if name.startswith("hub.")]
        if names:
            admin.delete_topics(names)
        wait_until(lambda: not any(name.startswith("hub.") for name in admin.list_topics()))


@pytest.fixture(scope="module")
def populated(hub: OpsHub) -> OpsHub:
    """People linked at once, late, by a row made for them, and not; papers; consents; endings; what waits."""
    person = {"birth_date": BORN, "family_name_fr": "Alaoui", "given_name_fr": "Salma"}
    ads, entraide, health = (partial(hub.key, agency) for agency in ("ads", "entraide", "health"))
    hub.rows("INSERT INTO setting VALUES (%s, 'snapshot') RETURNING 1", f"joined:{hub.name('region')}")
    hub.take(said(entraide("1"), 10, "insert", cin="SH1", languages=["ar", "fr"], **person))
    hub.take(said(ads("7"), 11, "insert", cin="SH1", phone="+212612345678", **person))
    hub.take(said(health("3"), 12, "insert", disability="visual", **person))
    hub.take(said(health("3"), 13, cin="SH1"))  # learned late: two become one
    hub.take(said(ads("8"), 14, "insert", family_name_fr="Tazi"))
    hub.take(said(ads("8"), 15, "delete"))
    hub.take(said(entraide("2"), 16, "insert", cin="SH2", birth_date=BORN))
    hub.take(said(ads("9"), 17, "insert", cin="SH2", birth_date=datetime.date(1980, 1, 1)))  # a review
    hub.take(said(entraide("1"), 18, phone=None, languages=["ber"]))
    hub.take(
        said(entraide("E1", "enrolment"), 20, "insert", number="INS-2026-000001", person="1", status="active")
    )
    hub.take(
        said(
            entraide("E2", "enrolment"), 21, "insert", number="INS-2026-000002", person="99", status="active"
        )
    )
    # Two decisions of a steward: against what speaks for it, and for what speaks against it.
    hub.take(said(ads("10"), 23, "insert", cin="SH3", birth_date=BORN, family_name_fr="Idrissi"))
    hub.take(said(entraide("4"), 24, "insert", cin="SH3", birth_date=BORN, family_name_fr="Idrissi"))
    hub.take(said(ads("11"), 25, "insert", family_name_fr="Fassi"))
    hub.take(said(entraide("5"), 26, "insert", family_name_fr="Bennis"))
    reviews = Reviews(hub.parts)
    not_her: Any = {"same": False, "who": "S", "why": "her sister"}
    her: Any = {"same": True, "who": "S", "why": "met her"}
    reviews.decide(f"{hub.name('ads')}:10", f"{hub.name('entraide')}:4", "person", **not_her)
    reviews.decide(f"{hub.name('ads')}:11", f"{hub.name('entraide')}:5", "person", **her)
    # And two words on fields, of which one was taken back.
    words, salma = Words(hub.parts), f"{hub.name('entraide')}:1"
    for name, value in (("given_name_fr", "Sâlma"), ("commune", "12.391.01.01")):
        words.say(salma, name, [value], "S", "her card")
    words.take_back(salma, "commune", "S", "another's")
    leftover(hub)
    consent = {"person": "1", "purpose": "social-integration", "status": "given"}
    recipients = [hub.name("ads")]
    hub.take(said(entraide("C1", "consent"), 22, "insert", recipients=recipients, **consent))
    hub.settle_due()
    hub.publish()
    return hub


def leftover(hub: OpsHub) -> None:
    """Keep what a person's decision left to the workers to publish."""
    rows = hub.rows("DELETE FROM publication RETURNING payload")
    entities, records, raw = read_named(bytes(row.payload) for row in rows)
    encoder = hub.parts.encoder()

    def finish(tx: Transaction, done: Converged) -> None:
        out, _ = outbound(encoder, done)
        out.messages += [*raw, *restated_records(encoder, tx, records)]
        hub.outs.append(out)

    hub.parts.intake.restate(entities, finish)


def lose(hub: OpsHub) -> None:
    """Nothing is left but empty tables."""
    with hub.parts.store.begin() as tx:
        tx.connection.exec_driver_sql(f"TRUNCATE {TABLES}")
    hub.parts.store.close()


def state(hub: OpsHub) -> dict[str, Any]:
    """Everything that must be as it was."""
    with hub.parts.looking() as tx:
        world = tx.entities({bytes(row.id) for row in hub.rows("SELECT id FROM entity")})
    counted = Counter(
        (agency, e.record_type)
        for e in world.entities.values()
        for agency, held in e.held.items()
        if held.operation == UPSERT
    )
    assert {(row[0], row[1]): row[2] for row in hub.rows(HOLDINGS)} == counted
    return {
        "records": sorted(
            tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in hub.rows(STATES)
        ),
        "names": sorted(
            (bytes(row.record), row.keys) for row in hub.rows("SELECT record, keys FROM record_name")
        ),
        "names found": hub.rows("SELECT value FROM setting WHERE name = 'names'"),
        "held": {e.id: {a: h.operation for a, h in e.held.items()} for e in world.entities.values()},
        "consents": {e.id: (e.consents, e.about) for e in world.entities.values()},
        "references": sorted(hub.rows("SELECT record, field, agency, record_type, local_id FROM reference")),
        "holdings": sorted(hub.rows(HOLDINGS)),
        "reviews": sorted(hub.rows("SELECT a, b, reason FROM review WHERE state = 'open'")),
        "decisions": sorted(hub.rows("SELECT a, b, same, stamp FROM decision")),
    }


def told(hub: OpsHub) -> dict[tuple[str, bytes], tuple[int, bytes]]:
    """What the topics say last: (topic, key) → version and digest."""
    parts = hub.parts
    read = Interpreter(parts.catalogue, parts.events, parts.ids, parts.registry)
    readers: dict[str, Callable[[bytes], Said]] = {
        topics.golden(kind): partial(read.golden, kind) for kind in parts.catalogue.records
    }
    for name, agreement in parts.agreements.items():
        for kind in agreement.record_types:
            readers[topics.inbox(name, kind)] = partial(read.projection, name, kind)
    found = {}
    with closing(LogReader(hub.parts.settings.kafka)) as log:
        for message in log.whole(*readers):
            if message.value is not None:
                one = readers[message.topic](message.value)
                found[message.topic, message.key or b""] = one.version, min(one.digests)
    return found


def check(hub: OpsHub) -> None:
    """What a worker does before anything else."""
    with closing(Parts(hub.parts.settings)) as parts:
        StoreCheck(parts).run()


def start(hub: OpsHub) -> None:
    """What a worker does first, and then with all that is due."""
    check(hub)
    hub.settle_due()
    hub.publish()
    hub.parts.store.close()


def look(hub: OpsHub) -> Situation:
    with closing(Parts(hub.parts.settings)) as parts:
        return Surroundings(parts).look()


def rebuilt(hub: OpsHub, replace: str | None = None, report: Report = lambda *_: None) -> Counts:
    hub.parts.store.close()
    with closing(Parts(hub.parts.settings)) as parts:
        found = Surroundings(parts).look()
        return Rebuild(parts, report).run(found, replace)


def run(hub: OpsHub, *arguments: str, command: Sequence[str] = ("rebuild",)) -> Result:
    """A command, by itself `jisr rebuild`, in this process."""
    return CliRunner(env=hub.environment).invoke(jisr, [*command, *arguments])


def contents(said: Mapping[tuple[str, bytes], tuple[int, bytes]]) -> dict[tuple[str, bytes], bytes]:
    return {place: digest for place, (_, digest) in said.items()}


def epochs(hub: OpsHub) -> set[int]:
    """In which epochs the topics speak last of their keys."""
    return {version >> 40 for version, _ in told(hub).values()}


def test_r31_a_lost_store_comes_back_as_it_was(populated: OpsHub) -> None:
    hub = populated
    before, said_before = state(hub), told(hub)
    check(hub)
    lose(hub)
    with pytest.raises(StoreBehind, match="jisr rebuild"):
        check(hub)
    assert look(hub).standing == EMPTY
    built = rebuilt(hub)
    assert (built.epoch, built.records, built.unlinked) == (1, len(before["records"]), 0)
    assert state(hub) == before
    start(hub)
    assert state(hub) == before
    assert contents(told(hub)) == contents(said_before)
    assert epochs(hub) == {1}
    # What a steward decided goes on to hold when the evidence is looked at again.
    hub.take(said(hub.key("ads", "10"), 28, birth_date=BORN, given_name_fr="Zineb"))
    hub.take(said(hub.key("ads", "11"), 28, cin="SH11"))
    assert entity_of(hub, "ads", "10") != entity_of(hub, "entraide", "4")
    assert entity_of(hub, "ads", "11") == entity_of(hub, "entraide", "5")
    hub.publish()
    hub.parts.store.close()


def entity_of(hub: OpsHub, agency: str, local_id: str) -> bytes:
    record = hub.parts.ids.record(*hub.key(agency, local_id))
    with hub.parts.looking() as tx:
        return tx.records({record}).entity_of[record]


def test_r18_a_store_that_was_set_back_is_refused_and_comes_back(populated: OpsHub) -> None:
    hub = populated
    # Also what the topics do not carry must be there after it.
    hub.rows(AUDITED)
    with copied(hub) as restore:
        hub.take(said(hub.key("ads", "7"), 30, phone="+212699999999"))
        hub.take(said(hub.key("entraide", "6"), 31, "insert", cin="SH5", birth_date=BORN))
        hub.settle_due()
        hub.publish()
        check(hub)
        now, said_now = state(hub), told(hub)
        restore()
    with pytest.raises(StoreBehind, match="older than what it has published"):
        check(hub)
    found = look(hub)
    assert found.standing == OLDER
    with pytest.raises(Fatal, match=f"--yes --replace {found.database}"):
        rebuilt(hub)
    with pytest.raises(Fatal, match="name that one"):
        rebuilt(hub, "another")
    built = rebuilt(hub, found.database)
    assert built.epoch > max(version >> 40 for version, _ in said_now.values())
    assert state(hub) == now
    assert len(hub.rows("SELECT FROM audit WHERE purpose = 'z'")) == 1
    start(hub)
    assert contents(told(hub)) == contents(said_now)
    assert epochs(hub) == {built.epoch}
    assert look(hub).standing == LEVEL


def test_r16_what_a_worker_had_not_said_to_its_end_is_found_by_the_evidence(populated: OpsHub) -> None:
    hub = populated
    born = datetime.date(1975, 3, 2)
    hub.take(said(hub.key("ads", "20"), 40, "insert", birth_date=born, family_name_fr="Chraibi"))
    hub.take(said(hub.key("entraide", "20"), 41, "insert", birth_date=born, cin="SH20"))
    hub.take(said(hub.key("ads", "21"), 42, "insert", birth_date=born, family_name_fr="Daoudi"))
    hub.publish()
    hub.take(said(hub.key("ads", "20"), 43, cin="SH20"))  # a merge
    hub.take(said(hub.key("ads", "22"), 44, "insert", birth_date=born, family_name_fr="Ennaji"))  # a newcomer
    now = state(hub)
    for out in hub.outs:
        out.messages = [message for message in out.messages if message.topic != topics.LINKS]
    hub.publish()
    lose(hub)
    built = rebuilt(hub)
    assert built.unlinked == 1
    assert built.reviewed >= 1
    assert entity_of(hub, "ads", "20") == entity_of(hub, "entraide", "20")
    assert entity_of(hub, "ads", "21") != entity_of(hub, "ads", "20")
    hub.take(said(hub.key("ads", "22"), 44, "insert", birth_date=born, family_name_fr="Ennaji"))  # read again
    start(hub)
    assert state(hub) == now


@contextmanager
def copied(hub: OpsHub) -> Iterator[Callable[[], None]]:
    """A copy of all tables, as a backup is; what it gives puts them back."""
    with hub.parts.store.begin() as tx:
        for name in (
            "SCHEMA yesterday",
            *(f'TABLE yesterday."{t}" AS TABLE public."{t}"' for t in metadata.tables),
        ):
            tx.connection.exec_driver_sql(f"CREATE {name}")

    def restore() -> None:
        lose(hub)
        with hub.parts.store.begin() as tx:
            for name in metadata.tables:
                tx.connection.exec_driver_sql(
                    f'INSERT INTO "{name}" OVERRIDING SYSTEM VALUE TABLE yesterday."{name}"'
                )

    yield restore
    with hub.parts.store.begin() as tx:
        tx.connection.exec_driver_sql("DROP SCHEMA yesterday CASCADE")


def test_r31_with_another_key_nothing_is_built_and_no_worker_runs(populated: OpsHub, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(secrets.token_bytes(32))
    other = populated.parts.settings.model_copy(update={"secret_file": tmp_path / "secret"})
    with closing(Parts(other)) as parts:
        with pytest.raises(ForeignKey, match="JISR_SECRET_FILE"):
            StoreCheck(parts).run()
        with pytest.raises(ForeignKey, match=r"hub\.links"):
            Surroundings(parts).look()


def test_a_rebuild_that_broke_off_is_begun_again_by_the_same_command(populated: OpsHub) -> None:
    hub = populated
    before = state(hub)
    shown = run(hub)
    assert "nothing speaks for a rebuild" in shown.output
    assert f"`jisr rebuild --yes --replace {look(hub).database}`" in shown.output
    assert state(hub) == before

    def break_off(step: str, *_: int) -> None:
        if step == "entities derived":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(hub, look(hub).database, break_off)
    assert hub.rows("SELECT FROM record")
    with pytest.raises(StoreBehind, match="again"):
        check(hub)
    hub.parts.store.close()
    told = json.loads(run(hub, "--yes", "--json").stdout)
    assert (told["store"]["standing"], told["built"]["records"]) == ("broken_off", len(before["records"]))
    assert state(hub) == before
    start(hub)


def test_r25_a_lane_that_stopped_at_a_gap_begins_at_what_is_there(populated: OpsHub) -> None:
    hub, topic = populated, topics.changes(populated.name("ads"), "person")
    with closing(KafkaAdminClient(bootstrap_servers=hub.bootstrap)) as admin:
        now = str(admin.describe_topics([topic])[0]["topic_id"])
    partitions = {0: (now, 7), 1: (now, 0), 2: ("of another topic of this name", 0)}
    for partition, position in partitions.items():
        hub.rows(
            "INSERT INTO position VALUES ('intake', %s, %s, %s, %s) RETURNING 1", topic, partition, *position
        )
    shown = run(hub, topic, command=("topics", "skip-gap")).output
    assert f"lane intake: {topic}[0]: 7 is next, 0 to 0 is there\n" in shown
    assert f"lane intake: {topic}[2]: 0 is next, 0 to 0 is there; the topic was made anew\n" in shown
    assert "nothing is changed" in shown
    assert run(hub, topic, "--yes", command=("topics", "skip-gap")).exit_code == 2
    done = run(hub, topic, "--yes", "--who", "S", "--why", "said again", command=("topics", "skip-gap"))
    assert "the lane begins at what is there" in done.output
    assert [row.partition for row in hub.rows("SELECT partition FROM position WHERE topic = %s", topic)] == [
        1
    ]
    kept = hub.rows("SELECT subject, purpose, detail FROM audit WHERE action = 'gap_skipped' ORDER BY id")
    assert kept[0] == (f"lane intake: {topic}[0]", "said again", "7 was next, 0 to 0 was there")
    assert len(kept) == 2
    hub.rows("DELETE FROM position WHERE topic = %s RETURNING 1", topic)
    hub.parts.store.close()


def test_a_store_in_use_is_not_replaced(populated: OpsHub) -> None:
    hub, name = populated, look(populated).database
    with hub.parts.looking():
        refused = run(hub, "--yes", "--replace", name)
    assert isinstance(refused.exception, Fatal)
    assert "1 other sessions of the hub" in str(refused.exception)
