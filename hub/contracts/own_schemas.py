"""Numbers for schemas of messages that never leave the process: no registry is asked."""

from __future__ import annotations

from typing import Any

from hub.contracts.safety import JsonSchema
from hub.errors import SkipRecord


class OwnSchemas:
    """Implements `hub.contracts.registry_client.SchemaNumbers` for what is written and read here."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._schemas: list[JsonSchema] = []

    def lookup(self, subject: str, schema: JsonSchema) -> int:
        """The number of `schema` under `subject`, given now if it had none."""
        if subject not in self._numbers:
            self._numbers[subject] = len(self._schemas)
            self._schemas.append(schema)
        return self._numbers[subject]

    def schema_by_id(self, schema_id: int) -> dict[str, Any]:
        """The schema of a number given here."""
        if not 0 <= schema_id < len(self._schemas):
            raise SkipRecord("unknown_schema_id", f"schema id {schema_id} was not given here")
        schema = self._schemas[schema_id]
        assert isinstance(schema, dict)
        return schema
