"""Messages on their way into a real store, as a worker takes them, and what is at the desk then."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner
from ops_hub import OpsHub
from support.changes import minute

from hub.cli import jisr
from hub.contracts import topics
from hub.contracts.values import decode
from hub.core import stamps
from hub.core.assertions import RecordKey
from hub.core.merge import golden_record
from hub.errors import JisrError
from hub.lanes.converged import Converged
from hub.lanes.intake_lane import dead_row
from hub.lanes.reading import DeadLetter, Message
from hub.ops.audit import Person
from hub.ops.dead_letters import DeadLetters, Letter
from hub.ops.parts import Parts
from hub.ops.redrive import Preview, Redrive, Redriven
from hub.ops.veil import Veil
from hub.store.dead_letters import Wanted
from hub.store.transaction import Transaction

SALMA = Person("Salma", "salma@desk")
BORN = datetime.date(1990, 5, 1)
# A telephone in a form that this release refuses, and a later one (`wider`) takes.
BAD, GOOD, OTHER = "0612345678", "+212612345678", "+212699999999"
_OFFSETS = count(1)


def arrive(hub: OpsHub, record: RecordKey, value: bytes | None, *, at: float = 1, key: bytes = b"t") -> int:
    """A message of the record's topic, appended at a minute of the tests' day; the number of the dead letter
    that became of it, 0 if it was applied."""
    topic = topics.changes(record.agency, record.record_type)
    message = Message(topic, 0, next(_OFFSETS), stamps.milliseconds(minute(at)), key, value)
    dead: list[DeadLetter] = []

    def finish(tx: Transaction, done: Converged) -> None:
        dead.extend(done.dead)
        tx.save_dead_letters([dead_row(one) for one in done.dead])

    hub.parts.intake.converge(hub.parts.reading.read([message]), [], finish)
    if not dead:
        return 0
    where = "SELECT id FROM dead_letter WHERE topic = %s AND kafka_offset = %s"
    return int(hub.rows(where, topic, message.offset)[0].id)


def says(hub: OpsHub, record: RecordKey, at: float, operation: str = "update", /, **values: Any) -> int:
    """The record says this at a minute, by a message; the number of its dead letter, or 0."""
    return arrive(hub, record, hub.say(record, minute(at), operation, **values), at=at)


class Answer(NamedTuple):
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def ask(hub: OpsHub, *arguments: str, **environment: str) -> Answer:
    """Run `jisr` in this process, which is quicker by a second than `OpsHub.run`."""
    done = CliRunner().invoke(jisr, arguments, env={**hub.environment, **environment})
    told = done.stderr
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        if not isinstance(done.exception, JisrError):
            raise done.exception
        told += str(done.exception)
    return Answer(done.exit_code, done.stdout, told)


def letter(hub: OpsHub, number: int) -> Letter:
    return DeadLetters(hub.parts).one(number)


def superseded(hub: OpsHub) -> list[int]:
    return DeadLetters(hub.parts).numbers(Wanted(state="open"), superseded_only=True)


def redrive(hub: OpsHub, *numbers: int, why: str = "mended") -> list[Redriven]:
    return list(Redrive(hub.parts).redrive(numbers, SALMA, why))


def contents(hub: OpsHub) -> dict[str, list[Any]]:
    """Every row of the store."""
    names = [row.tablename for row in hub.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return {name: sorted(map(repr, hub.rows(f'SELECT * FROM "{name}"'))) for name in names}


@contextmanager
def wider(hub: OpsHub, folder: Path) -> Iterator[OpsHub]:
    """The same hub by a release that mends the cause: it takes telephones in the national form."""
    schemas = folder / "schemas"
    shutil.copytree(hub.parts.settings.schemas, schemas)
    person = json.loads((schemas / "records/person.avsc").read_text(encoding="utf-8"))
    next(one for one in person["fields"] if one["name"] == "phone")["pattern"] = r"^(\+212|0)[0-9]{9}$"
    (schemas / "records/person.avsc").write_text(json.dumps(person), encoding="utf-8")
    with closing(Parts(hub.parts.settings.model_copy(update={"schemas": schemas}))) as parts:
        environment = {**hub.environment, "JISR_SCHEMAS": str(schemas)}
        yield OpsHub(parts, environment, hub.suffix, hub.bootstrap)


def refused_phone(hub: OpsHub, local_id: str = "1", at: float = 2) -> tuple[RecordKey, int]:
    """A record with a telephone, and a dead letter that gives it another."""
    ads = hub.key("ads", local_id)
    assert says(hub, ads, 1, "insert", cin=f"AB{local_id}", phone=OTHER, given_name_fr="Zineb") == 0
    number = says(hub, ads, at, phone=BAD)
    assert number, "it was to be refused"
    return ads, number


def golden(hub: OpsHub, record: RecordKey, name: str) -> Any:
    """The golden value of the entity that the record stands for."""
    identity = hub.parts.ids.record(*record)
    with hub.parts.looking() as tx:
        members = tx.members({tx.records({identity}).entity_of[identity]}).records.values()
    won = golden_record(hub.parts.types[record.record_type], members).get(name)
    spec = hub.parts.catalogue.records[record.record_type].by_name[name]
    return won and won.value and decode(spec, won.value)


def preview(hub: OpsHub, *numbers: int) -> list[Preview]:
    return Redrive(hub.parts).preview(numbers, Veil())


def trail(hub: OpsHub) -> list[tuple[str, ...]]:
    """Who did what to what, why, and what came of it, in order."""
    rows = hub.rows("SELECT who, action, subject, purpose, detail FROM audit ORDER BY id")
    return [tuple(row) for row in rows]
