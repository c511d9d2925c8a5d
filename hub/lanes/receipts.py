"""The lane of a hub worker that takes receipts in (R29)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import fastavro

from hub.contracts import topics as names
from hub.contracts.wire import read as read_avro
from hub.contracts.wire import unframe
from hub.core.tokens import Ids
from hub.crash import crash_point
from hub.errors import SkipRecord
from hub.lanes.lane import Lane
from hub.lanes.observer import Observer
from hub.lanes.reading import Message
from hub.store.loading import Advance
from hub.store.positions import ReceiptException, save_receipts

# Each agency tells how far it has come after every batch, and only the last word counts: nothing waits for it
# but people who look, and tombstones.
_GATHER_S = 0.25


class ReceiptsLane(Lane):
    """How far each agency's side has come, and what it could not apply (R29)."""

    name = "receipts"

    def __init__(
        self,
        *,
        schema: Any,
        schema_of: Callable[[int], Any],
        ids: Ids,
        observer: Observer,
        **options: Any,
    ) -> None:
        """`schema`: a receipt as this release has it; `schema_of`: that of its writer, by its number."""
        super().__init__(**options)
        self._schema = fastavro.parse_schema(schema)
        self._schema_of = schema_of
        self._writers: dict[int, Any] = {}
        self._ids = ids
        self._observer = observer
        self.gather_s = _GATHER_S

    async def handle(self, messages: list[Message], advances: list[Advance]) -> None:
        await self.in_thread(self._save, messages, advances)

    def _save(self, messages: Iterable[Message], advances: list[Advance]) -> None:
        watermarks: dict[tuple[str, int], dict[str, object]] = {}
        exceptions: dict[tuple[str, bytes], ReceiptException] = {}
        for message in messages:
            agency = message.topic.split(".")[0]
            try:
                self._note(agency, self._read(message.value), watermarks, exceptions)
            except (SkipRecord, ValueError) as error:
                self.log.warning("a receipt of %s cannot be used: %s", agency, error)
                self._observer.receipt_skipped(agency)
        crash_point("receipts.read")
        with self._store.begin() as tx:
            tx.advance(self.name, advances)
            rows = [watermarks[place] for place in sorted(watermarks)]
            save_receipts(tx, rows, [exceptions[place] for place in sorted(exceptions)])
            crash_point("receipts.saving")
        crash_point("receipts.saved")

    def _read(self, message: bytes | None) -> Any:
        number, body = unframe(message)
        if number not in self._writers:
            self._writers[number] = fastavro.parse_schema(self._schema_of(number))
        return read_avro(self._writers[number], body, self._schema)

    def _note(
        self,
        agency: str,
        value: Mapping[str, Any],
        watermarks: dict[tuple[str, int], dict[str, object]],
        exceptions: dict[tuple[str, bytes], ReceiptException],
    ) -> None:
        topic, partition = value["topic"], value["partition"]
        owner, record_type = names.split(topic)
        if owner != agency:
            raise SkipRecord("foreign_topic", f"{agency} cannot acknowledge {topic}")
        known = watermarks.get((topic, partition))
        if known is None or value["committed_ms"] >= int(str(known["committed_ms"])):
            watermarks[topic, partition] = {
                "topic": topic,
                "partition": partition,
                "agency": agency,
                "next_offset": value["offset"],
                "committed_ms": value["committed_ms"],
                "epoch": value["epoch"],
                "set_back_ms": value["set_back_ms"],
            }
            self._observer.acknowledged(agency, record_type, value["committed_ms"])
        for one in value["exceptions"]:
            entity = self._ids.pairwise(agency).hub_id(one["entity"])
            if entity is not None:
                exceptions[agency, entity] = ReceiptException(
                    agency,
                    entity,
                    record_type,
                    one["version"],
                    one["state"],
                    one["code"],
                    one["column"],
                    value["committed_ms"],
                )
