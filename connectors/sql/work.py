"""What a batch of the source carries with it until it is acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.sdk import Change
from connectors.sql.row_print import Effect
from connectors.sql.rows import Shadow


@dataclass(frozen=True)
class Progress:
    """How far the snapshot of one record type is: the last key read, or done.

    `fields`: those for which all rows are read again, because the mapping reads them otherwise; none for all.
    """

    after: str | None = None
    done: bool = False
    fields: tuple[str, ...] = ()


@dataclass
class Work:
    """Rows to forget once the batch is sent: captured (by seq) and dirty; how far the snapshot came.

    `gone` are ends of lives that no trigger noted in the shadow. `floor` is the number at and below which
    the queue is empty for good, once the rows are forgotten. `effects`: what the captured rows did to
    prints, by record type and local id; `seen`: of rows that a snapshot read, their print and the shadow
    of that same moment. `foreign`: records of which something was captured by a former mapping.
    """

    seqs: list[int] = field(default_factory=list)
    dirty: list[tuple[str, str, int, int]] = field(default_factory=list)
    snapshot: dict[str, Progress] = field(default_factory=dict)
    gone: list[Change] = field(default_factory=list)
    floor: int = 0
    effects: dict[str, dict[str, Effect]] = field(default_factory=dict)
    seen: dict[str, dict[str, tuple[int, Shadow]]] = field(default_factory=dict)
    foreign: set[tuple[str, str]] = field(default_factory=set)
