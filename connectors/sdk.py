"""What an integrator implements to join an agency's system to the hub: a `Source`, a `Sink`, or both.

The runner owns Kafka, the wire format, metrics and back-off; a connector owns the agency's system. Each
side is driven by one thread of its own, so neither needs to be thread-safe; they share no connection.

Both are driven alike: `connect` once, then the working call again and again, then `close`. Any call may
block, for some seconds at most, and may raise

- `Retriable`: the system is away. The runner closes, waits, connects again; work not yet acknowledged
  comes again.
- `Fatal`: a person must act. The process ends with the message.

Effects happen once because everything is repeatable: a change that is sent twice is the same change
(same `event_id`, same stamp), and a delivery is applied in one transaction with its position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(slots=True)
class Change:
    """What the agency says of one of its records: `schemas/events/change.avsc` as Python values.

    `values` holds normalised contract values (`hub.contracts.values.normalise`) of the fields in
    `changed` and `stale`; a field merged by union lists the elements added, `removed` those taken away.
    `asserted`: the stamp since which the values hold, where that is not `stamp`; a snapshot without it, or
    with 0, is of unknown age, and loses to everything dated (R11).
    `actor`: the account at the agency that made it, 200 characters at most; None where that is not known.
    `epoch`: as `Source.epoch` has it.
    """

    event_id: str
    record_type: str
    local_id: str
    operation: str
    stamp: int
    incarnation: int = 0
    asserted: int | None = None
    changed: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)
    entity: str | None = None
    actor: str | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What the log holds of a change that this agency once sent."""

    event_id: str
    record_type: str
    local_id: str
    stamp: int
    operation: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """From one state of the agency's database to the next that it was set back to (R24).

    `record_types`: those of which everything is said once a snapshot is complete; `set_back_ms`: when
    the database was found set back, if it began by that; else 0.
    """

    number: int
    record_types: frozenset[str]
    set_back_ms: int = 0


@dataclass(slots=True)
class Batch:
    """Changes in the order in which they may be sent, and what the source needs to acknowledge them."""

    changes: list[Change]
    token: Any = None


class Source(Protocol):
    """Reads what people at the agency changed."""

    def connect(self) -> None:
        """Open the system. Resumption starts at the first change that was never acknowledged."""

    def look_back(self, sent: Sequence[Sent]) -> bool:
        """Called after each `connect`: the last changes of each partition that the log still has.

        If there is one that this system no longer knows to have sent, then it was set back to an earlier
        state, as from a backup: begin a new epoch, so that no event id comes twice, let `read` say
        everything again, and return True.
        """

    def read(self, limit: int) -> Batch | None:
        """The next changes, some `limit` at most; None if there are none now. Does not wait for some.

        Called again only after `acknowledge` of the last batch, or after a new `connect`.
        """

    def acknowledge(self, batch: Batch) -> None:
        """The broker has `batch`: forget it, durably. After a crash before this, it is read again."""

    def complete(self) -> bool:
        """Whether all that was there before capture has been read and acknowledged.

        Until then the hub creates nothing at the agency, or it would create again what the agency has.
        """

    def epoch(self) -> Epoch:
        """The epoch that this system is in; asked once `complete`.

        In each later one `read` must say every record that there is, also those that the hub had it make, as
        `link`: what is not said then is lost, and the hub makes it again. Whoever cannot tell gives number 0.
        """

    def backlog(self) -> int:
        """Changes that wait, about; for the metrics."""

    def close(self) -> None:
        """Release everything; may be called twice, and without `connect`."""


# (topic, partition) of an inbox.
Partition = tuple[str, int]


@dataclass(slots=True)
class Delivery:
    """What the agency may hold of one entity: `schemas/events/projection.avsc` as Python values.

    `values` holds the fields listed, null included; a reference is this agency's id of the entity. `own`:
    fields that the agency said itself, in a record that a restored database no longer has.
    `incarnation`: which life of `local_id` is meant; None: of it nothing is said, as by earlier hubs.
    `partition` is where it came from, `appended_ms` when the broker got it, for measuring lag.
    """

    record_type: str
    entity: str
    version: int
    operation: str
    local_id: str | None = None
    merged_into: str | None = None
    fields: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    stamp: int = 0
    seen: int = 0
    own: tuple[str, ...] = ()
    incarnation: int | None = None
    appended_ms: int = 0
    partition: Partition = ("", 0)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A delivery that is not settled, or no longer unsettled.

    `code` is a stable word, never a driver's text.
    """

    entity: str
    version: int
    state: str  # refused, waiting or resolved
    code: str = ""
    column: str = ""


@dataclass(slots=True)
class Arrivals:
    """What one poll brought.

    `positions` are the offsets to read next, by partition; `unreadable` are messages that could not be
    decoded, to be reported as refused.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    positions: dict[Partition, int] = field(default_factory=dict)
    unreadable: dict[Partition, list[Unsettled]] = field(default_factory=dict)


@dataclass(slots=True)
class Receipt:
    """How far the agency is with one inbox partition: `schemas/events/receipt.avsc`.

    Of a changes topic: where it ends once all is said in `epoch`.
    """

    topic: str
    partition: int
    offset: int
    committed_ms: int
    exceptions: list[Unsettled] = field(default_factory=list)
    token: Any = None
    epoch: int = 0
    set_back_ms: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """What the agency's staff should know: `schemas/events/notice.avsc` as Python values.

    `count` is of how many records it tells, `local_id` one of them; `message` the text by language.
    `partition` and `offset` are where it came from.
    """

    notice_id: str
    kind: str
    reason: str
    record_type: str
    at_ms: int
    local_id: str | None = None
    fields: tuple[str, ...] = ()
    count: int = 1
    message: Mapping[str, str] = field(default_factory=dict)
    partition: Partition = ("", 0)
    offset: int = 0


class NoticeBoard(Protocol):
    """Shows notices to the agency's staff; optional, like the other two."""

    def connect(self) -> Mapping[Partition, int]:
        """Open the system; return the offsets to read next. A partition without one is read whole."""

    def post(self, notices: Sequence[Notice]) -> int:
        """Show them and store how far was read, in one transaction; returns how many were news.

        The same notice may come twice, with the same `notice_id`: it counts once.
        """

    def close(self) -> None:
        """Release everything; may be called twice, and without `connect`."""


class Sink(Protocol):
    """Writes what the agency may know."""

    def connect(self) -> Mapping[Partition, int]:
        """Open the system; return the stored positions. A partition without one is read from its beginning.

        Positions belong in the agency's own system, in one transaction with what they cover: restored
        from a backup, it then reads again what it has lost.
        """

    def apply(self, arrivals: Arrivals) -> Mapping[str, int]:
        """Apply deliveries and store the positions; returns how many ended in which state, for metrics.

        Order: a lower version than the last applied of its entity is ignored; otherwise any order must
        give the same. When this returns, all is committed; a delivery that the system refuses is a state
        to be reported and tried again later, never an error. Called at least every second, also with
        nothing, so that what waits is tried again.
        """

    def receipts(self) -> Sequence[Receipt]:
        """What the hub is still to be told. Given again until `confirm`, also after a restart."""

    def confirm(self, receipts: Sequence[Receipt]) -> None:
        """The broker has these receipts."""

    def waiting(self) -> Mapping[str, int]:
        """Deliveries that are refused or wait, by code; for the metrics."""

    def close(self) -> None:
        """Release everything; may be called twice, and without `connect`."""
