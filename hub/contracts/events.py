"""Event schemas: templates in `schemas/events/`, completed with a record type where they carry one.

`Change` and `Projection` embed the record, so that a stock Avro client sees typed fields and any new
record type gets its events without code (R1).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.contracts.records import RecordType

NAMESPACE = "ma.jisr.events"
_PLACEHOLDER = "ma.jisr.records.Record"


class EventSchemas:
    """The event schemas of this release.

    `folder` holds `*.avsc`; a field of type `ma.jisr.records.Record` stands for the record type's image.
    """

    def __init__(self, folder: Path) -> None:
        self._templates: dict[str, dict[str, Any]] = {
            path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.avsc"))
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._templates)

    def plain(self, name: str) -> dict[str, Any]:
        """An event that carries no record: `receipt`, `notice`, `control`, `envelope` and the like."""
        return copy.deepcopy(self._templates[name])

    def change(self, record: RecordType) -> dict[str, Any]:
        """What an agency says: the value schema of `<agency>.<record>.changes`."""
        return self._typed("change", record)

    def projection(self, record: RecordType) -> dict[str, Any]:
        """What an agency may know: the value schema of `<agency>.<record>.inbox`."""
        return self._typed("projection", record)

    def golden(self, record: RecordType) -> dict[str, Any]:
        """What the hub believes: the payload of `hub.<record>.golden`."""
        return self._typed("golden", record)

    def _typed(self, name: str, record: RecordType) -> dict[str, Any]:
        template = self.plain(name)
        template["namespace"] = f"{NAMESPACE}.{record.name}"
        for field in template["fields"]:
            if field["type"] == ["null", _PLACEHOLDER]:
                field["type"] = ["null", record_schema(record)]
        return template


def record_schema(record: RecordType) -> dict[str, Any]:
    """The record's Avro schema without the hub's policies: agencies need its shape, not our rules."""
    return {
        "type": "record",
        "name": record.name,
        "namespace": "ma.jisr.records",
        "doc": record.doc.get("en", ""),
        "fields": [
            _plain_field(field, node)
            for field, node in zip(record.fields, record.schema["fields"], strict=True)
        ],
    }


def _plain_field(field: Any, node: Mapping[str, Any]) -> dict[str, Any]:
    codes = f" Codes: {', '.join(field.codes)}." if field.codes else ""
    return {
        "name": field.name,
        "type": node["type"],
        "default": None,
        "doc": field.doc.get("en", "") + codes,
    }
