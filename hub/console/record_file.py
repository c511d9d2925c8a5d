"""The file of one person or thing: all that the hub tells of it, as one reader may see it."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from hub.console.access import Permission
from hub.console.audit import Deed, deed
from hub.console.sentences import spoken
from hub.console.visit import Visit
from hub.core.policy import STEWARD
from hub.lanes.messages import hub_name
from hub.ops.audit import Audit
from hub.ops.case import Case, CaseReader, Delivery
from hub.ops.explain import AgencyStory, ConsentStory, Explanation, FieldStory, Member, Saying
from hub.ops.finding import Sought, find_entity
from hub.ops.pathway import Step, pathway
from hub.ops.related import Related, own_values, related
from hub.ops.veil import Veil
from hub.store.transaction import Transaction

_EPOCH = datetime.date(1970, 1, 1)
# So many looks are shown, the newest first.
_LOOKS = 50
# What was sent is looked for so many messages back, at each agency: a file must not read an inbox whole.
_DEPTH = 2_000
_COUNTER = (1 << 40) - 1


@dataclass(frozen=True)
class FileRecord:
    """One agency's record that stands for it. `record`: its hub name; `local_id` is covered unless revealed.

    `primary`: it receives the golden values; `says`: of how many fields; times in Unix milliseconds, null
    where undated.
    """

    record: str
    agency: str
    local_id: str
    incarnation: int
    live: bool
    primary: bool
    says: int
    last_ms: int | None
    ended_ms: int | None


@dataclass(frozen=True)
class FileSaying:
    """What one agency's record says of a field, when, and what became of it; `outcome` is for programs."""

    agency: str
    local_id: str
    value: str
    when_ms: int | None
    outcome: str
    why: str


@dataclass(frozen=True)
class FileField:
    """A field: the value that stands, why it does, and everything said of it; `disputed`: by whom."""

    name: str
    privacy: str
    value: str
    why: str
    sayings: tuple[FileSaying, ...]
    disputed: tuple[str, ...]


@dataclass(frozen=True)
class FileAgency:
    """What one agency may hold (field → ground), what is withheld (field → why), and what it was sent.

    `state`: acknowledged, pending, refused, waiting, nothing sent, or unknown; `version`: of the last
    message, null where it was sent longer ago than a page looks; times in Unix milliseconds. `code` and
    `column`: why its database refuses it. `echoes`: field → when it last repeated what it had been told,
    which was not taken for its own word; null where that is undated.
    """

    agency: str
    may_hold: bool
    fields: dict[str, str]
    withheld: dict[str, str]
    why_not: str
    told: str
    state: str
    version: int | None
    sent_ms: int | None
    acknowledged_ms: int | None
    code: str
    column: str
    echoes: dict[str, int | None]


@dataclass(frozen=True)
class FileConsent:
    """A consent of the person. `in_force`: recipients for whom it holds today; days are ISO dates."""

    agency: str
    purpose: str
    recipients: tuple[str, ...]
    given: bool
    in_force: tuple[str, ...]
    from_day: str | None
    until_day: str | None


@dataclass(frozen=True)
class FilePair:
    """A pair that somebody must look at, or has: hub names of its records."""

    a: str
    b: str
    state: str


@dataclass(frozen=True)
class RecordFile:
    """The whole file. `entity`: its hub id; `merged`: the one that was asked for and is now part of it.

    Values are covered unless `revealed`. `holds`: numbers of changes that wait; `incomplete`: something did
    not answer; `looks`: who saw values of it in full or looked for it, null for those who may not know.
    """

    entity: str
    record_type: str
    merged: str | None
    live: bool
    version: int
    revealed: bool
    records: tuple[FileRecord, ...]
    pathway: tuple[Step, ...]
    fields: tuple[FileField, ...]
    agencies: tuple[FileAgency, ...]
    consents: tuple[FileConsent, ...]
    related: tuple[Related, ...]
    holds: tuple[int, ...]
    reviews: tuple[FilePair, ...]
    dead_letters: int
    incomplete: bool
    looks: tuple[Deed, ...] | None


def read_file(visit: Visit, name: str, veil: Veil) -> RecordFile:
    """The file of the entity with this hub id, by `veil`; raises `NotFound`. Blocks."""
    lent = visit.console.readers.borrowed
    those: list[Related] = []
    own: dict[str, str] = {}

    def around(tx: Transaction, sought: Sought) -> None:
        members = list(tx.members({sought.entity}).records.values())
        those.extend(related(visit.parts, tx, sought.entity, members, veil))
        own.update(own_values(visit.parts, members, veil))

    reader = CaseReader(visit.parts, veil, notices=False, depth=_DEPTH, log=lent)
    case = reader.read_found(lambda tx: find_entity(tx, name), around)
    found = case.explanation
    shown = _Shown(visit, found, veil)
    return RecordFile(
        entity=found.entity,
        record_type=found.record_type,
        merged=found.merged,
        live=found.live,
        version=found.version,
        revealed=veil.reveal,
        # A steward has no records: what they say stands with its field.
        records=tuple(shown.record(one) for one in found.members if one.agency != STEWARD),
        pathway=tuple(pathway(found.record_type, own, those)),
        fields=tuple(shown.field(one) for one in found.fields),
        agencies=tuple(shown.agency(one, case.deliveries[one.agency]) for one in found.agencies),
        consents=tuple(_consent(one) for one in found.consents),
        related=tuple(those),
        holds=tuple(one.id for one in case.holds if one.state == "held"),
        reviews=tuple(FilePair(hub_name(one.a), hub_name(one.b), one.state) for one in case.reviews),
        dead_letters=len(case.dead_letters),
        incomplete=bool(case.problems),
        looks=_looks(visit, case) if visit.may(Permission.SEE_AUDIT) else None,
    )


class _Shown:
    """Parts of an explanation as this reader sees them."""

    def __init__(self, visit: Visit, found: Explanation, veil: Veil) -> None:
        self._visit = visit
        self._found = found
        self._veil = veil

    def _local_id(self, agency: str, local_id: str) -> str:
        return local_id if self._veil.reveal else self._visit.local_id(agency, local_id)

    def record(self, one: Member) -> FileRecord:
        return FileRecord(
            record=one.record,
            agency=one.agency,
            local_id=self._local_id(one.agency, one.local_id),
            incarnation=one.incarnation,
            live=one.live,
            primary=one.primary,
            says=one.asserts,
            last_ms=one.last_ms,
            ended_ms=one.ended_ms,
        )

    def field(self, one: FieldStory) -> FileField:
        return FileField(
            name=one.name,
            privacy=one.privacy,
            value=one.value,
            why=spoken(self._visit, one.rule, self._found.record_type),
            sayings=tuple(self._saying(saying) for saying in one.sayings),
            disputed=tuple(place.partition(":")[0] for place in one.disputed_at),
        )

    def _saying(self, one: Saying) -> FileSaying:
        return FileSaying(
            agency=one.agency,
            local_id=self._local_id(one.agency, one.local_id),
            value=one.value,
            when_ms=one.when_ms,
            outcome=one.outcome,
            why=spoken(self._visit, one.why, self._found.record_type),
        )

    def agency(self, one: AgencyStory, delivery: Delivery) -> FileAgency:
        kind, sent, trouble = self._found.record_type, delivery.sent, delivery.undelivered
        return FileAgency(
            agency=one.agency,
            may_hold=one.may_hold,
            fields={name: spoken(self._visit, why, kind) for name, why in one.fields.items()},
            withheld={name: spoken(self._visit, why, kind) for name, why in one.withheld.items()},
            why_not=spoken(self._visit, one.why_not, kind),
            told=spoken(self._visit, one.told, kind),
            state=delivery.state,
            version=sent.version & _COUNTER if sent and sent.version is not None else None,
            sent_ms=sent.at_ms if sent else None,
            acknowledged_ms=delivery.acknowledged_ms,
            code=trouble.code if trouble else "",
            column=trouble.column if trouble else "",
            echoes=one.echoes_ms,
        )


def _consent(one: ConsentStory) -> FileConsent:
    return FileConsent(
        agency=one.about.partition(":")[0],
        purpose=one.purpose,
        recipients=one.recipients,
        given=one.given,
        in_force=one.in_force,
        from_day=_date(one.from_day),
        until_day=_date(one.until_day),
    )


def _date(day: int | None) -> str | None:
    return None if day is None else (_EPOCH + datetime.timedelta(days=day)).isoformat()


def subject_of(record_type: str, entity: str) -> str:
    """What the audit trail calls a file."""
    return f"{record_type} {entity}"


def _looks(visit: Visit, case: Case) -> tuple[Deed, ...]:
    """Who saw values of it, as a file, in a hold, in a dead letter or in a review, or looked for it."""
    return tuple(deed(one) for one in Audit(visit.parts).about(_subjects(case), _LOOKS))


def _subjects(case: Case) -> Collection[str]:
    found = case.explanation
    names = {found.entity, *(one.record for one in found.members)} | ({found.merged} - {None})
    subjects = {subject_of(found.record_type, str(name)) for name in names}
    subjects |= {f"hold {one.id}" for one in case.holds}
    subjects |= {f"dead letter {one.number}" for one in case.dead_letters}
    pairs = [(hub_name(one.a), hub_name(one.b)) for one in case.reviews]
    return subjects | {f"review {a} {b}" for one, other in pairs for a, b in ((one, other), (other, one))}
