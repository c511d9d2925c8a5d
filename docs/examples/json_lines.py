"""A connector for a system without a database: it appends what people do to a file, a line of JSON for each.

    {"at": "2026-03-02T10:15:00+01:00", "id": "17", "do": "insert", "values": {"family_name_fr": "Alaoui"}}
    {"at": "2026-03-02T10:20:00+01:00", "id": "17", "do": "update", "values": {"phone": "+212612345678"}}
    {"at": "2026-03-02T11:00:00+01:00", "id": "17", "do": "delete"}

A list holds the elements that were added. The connector only tells: the agency receives nothing. How far it
has told is kept in a file beside the other. In a checkout, with an agreement that says `snapshot: true`:

    export JISR_BOOTSTRAP=… JISR_REGISTRY_URL=… JISR_AGENCY_KEY_FILE=agency.key
    python docs/examples/json_lines.py AGENCY edits.jsonl

docs/integrators.md tells the contract; `tests/unit/test_json_lines.py` proves it by `connectors.conformance`.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from connectors.control import ControlSide
from connectors.loops import SourceSide
from connectors.messages import Reader, Writer
from connectors.metrics import Metrics
from connectors.runner import Runner
from connectors.sdk import Batch, Change, Epoch, Sent
from connectors.settings import read_agency_key
from connectors.steering import Steering
from hub.contracts import topics
from hub.contracts.events import EventSchemas
from hub.contracts.kafka_connection import MEANINGS, connection
from hub.contracts.records import Catalogue, RecordType
from hub.contracts.registry_client import RegistryClient
from hub.contracts.values import InvalidValue, normalise
from hub.core import stamps
from hub.errors import ConfigurationError, JisrError, Retriable

log = logging.getLogger(__name__)


class JsonLines:
    """A `Source`. An edit is known by the byte at which its line begins, which never changes."""

    def __init__(self, agency: str, record: RecordType, file: Path) -> None:
        self._agency, self._record, self._file = agency, record, file
        self._kept_in = file.with_name(f"{file.name}.sent")

    def connect(self) -> None:
        """What was acknowledged; the highest stamp and the lives of each record, as far as that."""
        fresh = {"position": 0, "there_before": self._size(), "stamps": {}, "ended": {}}
        kept = self._kept_in.read_text(encoding="utf-8") if self._kept_in.exists() else None
        self._kept: dict[str, Any] = json.loads(kept) if kept else fresh
        if kept is None:
            self._keep(fresh)

    def look_back(self, sent: Sequence[Sent]) -> bool:
        """A file that was set back is not read on: nobody could say which of its lines were sent."""
        begins = f"{self._agency}:{self._record.name}:"
        ours = [one.event_id.removeprefix(begins) for one in sent if one.event_id.startswith(begins)]
        last = max((int(place) for place in ours if place.isdigit()), default=-1)
        if last >= self._size():
            raise ConfigurationError(f"{self._file} is shorter than what was sent of it: put the whole back")
        return False

    def read(self, limit: int) -> Batch | None:
        """`known` and lives are taken from what is kept, so what was not acknowledged comes again alike."""
        after = {**self._kept, "stamps": {**self._kept["stamps"]}, "ended": {**self._kept["ended"]}}
        changes: list[Change] = []
        with self._opened(after["position"]) as lines:
            # A line without its end is still being written.
            while len(changes) < limit and (line := lines.readline()).endswith(b"\n"):
                changes.append(self._change(line, after))
                after["position"] += len(line)
        return Batch(changes, after) if changes else None

    def _change(self, line: bytes, state: dict[str, Any]) -> Change:
        place = f"{self._file}, byte {state['position']}"
        try:
            said = json.loads(line)
            moment = datetime.datetime.fromisoformat(said["at"])
            local_id, operation = str(said["id"]), said["do"]
            given = said.get("values", {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Left out it would be missed by nobody: a person must look.
            raise ConfigurationError(f"{place}: no edit of the form of this connector: {error}") from error
        stamp = stamps.capture(int(moment.timestamp() * 1000), state["stamps"].get(local_id, 0))
        state["stamps"][local_id] = stamp
        life = state["ended"].get(local_id, 0)
        if operation == "delete":
            state["ended"][local_id] = life + 1
        values = self._values(given, place)
        return Change(
            event_id=f"{self._agency}:{self._record.name}:{state['position']}",
            record_type=self._record.name,
            local_id=local_id,
            operation=operation,
            stamp=stamp,
            incarnation=life,
            changed=tuple(values),
            values=values,
        )

    def _values(self, given: dict[str, Any], place: str) -> dict[str, Any]:
        """Values of the contract; one that it does not allow is left out, and told without repeating it."""
        values: dict[str, Any] = {}
        for name, value in given.items():
            try:
                spec = self._record.by_name[name]
                is_day = spec.kind == "date" and value is not None
                values[name] = normalise(spec, datetime.date.fromisoformat(value) if is_day else value)
            except KeyError:
                log.warning("%s: %s has no field %s; the rest is sent", place, self._record.name, name)
            except InvalidValue as error:
                log.warning("%s: %s; the rest is sent", place, error)
            except (ValueError, TypeError):
                log.warning("%s: field %s: no day like 1990-05-01; the rest is sent", place, name)
        return values

    def acknowledge(self, batch: Batch) -> None:
        self._keep(batch.token)
        self._kept = batch.token

    def _keep(self, state: dict[str, Any]) -> None:
        beside = self._kept_in.with_suffix(".new")
        beside.write_text(json.dumps(state), encoding="utf-8")
        # Whole or not at all, whenever the process dies.
        beside.replace(self._kept_in)

    def complete(self) -> bool:
        return bool(self._kept["position"] >= self._kept["there_before"])

    def epoch(self) -> Epoch:
        return Epoch(0, frozenset())

    def backlog(self) -> int:
        with self._opened(self._kept["position"]) as lines:
            return sum(1 for _ in lines)

    def close(self) -> None:
        """Nothing is held open between two calls."""

    def _size(self) -> int:
        with self._opened(0) as lines:
            return lines.seek(0, os.SEEK_END)

    def _opened(self, position: int) -> BinaryIO:
        """The file from there on. While it is away, as a mounted folder may be, it is tried again."""
        try:
            lines = self._file.open("rb")
        except OSError as error:
            raise Retriable(f"{self._file}: {error.strerror}") from error
        lines.seek(position)
        return lines


def setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(f"the variable {name} is not set")
    return value


def main(agency: str, file: str) -> None:
    """Carry the file's edits to the hub until the process is told to stop."""
    logging.basicConfig(level=logging.WARNING)
    catalogue = Catalogue.load(Path("schemas/records"))
    given = {name: os.environ.get(f"JISR_{name.upper()}") for name in MEANINGS}
    kafka = connection(setting("JISR_BOOTSTRAP"), given).checked()
    registry = RegistryClient(setting("JISR_REGISTRY_URL"))
    key = read_agency_key(Path(setting("JISR_AGENCY_KEY_FILE")))
    writer = Writer(agency, key, catalogue, EventSchemas(Path("schemas/events")), registry)
    metrics = Metrics(agency, [])
    source = JsonLines(agency, catalogue.records["person"], Path(file))
    outgoing = [topics.changes(agency, "person")]
    side = SourceSide(source, outgoing, Reader(registry), writer, kafka, metrics)
    # So that the hub's operators can pause it and see how it is.
    steering = Steering(known=False)
    control = ControlSide(agency, steering, [side.name], Reader(registry), writer, kafka)
    runner = Runner([control, side], metrics, steering)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
    runner.run()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: json_lines.py AGENCY FILE")
    try:
        main(*sys.argv[1:])
    except JisrError as error:
        sys.exit(f"json_lines: {error}")
