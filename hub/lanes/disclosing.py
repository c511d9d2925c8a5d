"""Counts what deliveries tell agencies and take back from them, and why (R17)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from hub.contracts.records import Catalogue
from hub.core.crosswalk import Held
from hub.core.disclosure import UNKNOWN, mark, marks_of, moved
from hub.core.projection import UPSERT
from hub.core.settle import Delivery, Settled
from hub.store.disclosures import BY_AGREEMENT, BY_RECORD, Disclosed, open_reprojections
from hub.store.transaction import Transaction

# (Cause, reprojection) of what became of one entity.
Why = Callable[[Settled], tuple[str, int]]


class Disclosing:
    """Counts for one worker; `catalogue`: whose fields are told by name."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._names = {
            record_type: {mark(field.name): field.name for field in record.fields}
            for record_type, record in catalogue.records.items()
        }

    def count(self, tx: Transaction, day: int, settled: Iterable[Settled], why: Why) -> None:
        """Count all that was told and taken back."""
        told: Counter[Disclosed] = Counter()
        taken_back: Counter[Disclosed] = Counter()
        for one in settled:
            for delivery in one.deliveries:
                gained, lost = _moved(delivery, one.held.get(delivery.agency))
                if gained or lost:
                    cause, reprojection = why(one)
                    for counts, marks in ((told, gained), (taken_back, lost)):
                        for which in marks:
                            counts[self._where(delivery, day, cause, reprojection, which)] += 1
        tx.count_disclosed(told, taken_back)

    def count_taken_back(self, tx: Transaction, day: int, settled: Iterable[Settled]) -> None:
        """Count what was taken back because of what agencies said; what they are told is not.

        While a record type is settled again as a whole, what is heard of meanwhile loses by the new terms.
        """
        lost = [
            (one, delivery, marks)
            for one in settled
            for delivery in one.deliveries
            if (was := one.held.get(delivery.agency)) is not None
            and was.operation == UPSERT
            and (marks := _moved(delivery, was)[1])
        ]
        if not lost:
            return
        begun = open_reprojections(tx.connection)
        taken_back: Counter[Disclosed] = Counter()
        for one, delivery, marks in lost:
            reprojection = begun.get(delivery.record_type, 0) if one.live else 0
            cause = BY_AGREEMENT if reprojection else BY_RECORD
            taken_back.update(self._where(delivery, day, cause, reprojection, which) for which in marks)
        tx.count_disclosed(Counter(), taken_back)

    def _where(
        self, delivery: Delivery, day: int, cause: str, reprojection: int, which: bytes | str
    ) -> Disclosed:
        # A field that is in no contract any more has no name here.
        name = which if isinstance(which, str) else self._names[delivery.record_type].get(which, UNKNOWN)
        return Disclosed(reprojection, day, cause, delivery.agency, delivery.record_type, name)


def _moved(delivery: Delivery, was: Held | None) -> tuple[frozenset[bytes | str], frozenset[bytes | str]]:
    content = delivery.content
    now = marks_of(content.fields) if content.operation == UPSERT else None
    return moved(None if was is None else was.holding, now)
