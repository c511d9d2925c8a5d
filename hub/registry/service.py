"""The registry's rules and answers, without HTTP: every schema passes safety and compatibility.

Answers and error codes are those of Confluent's REST interface, version 1, as far as stock clients use
it. Left out on purpose: deletion (ids stand in kept messages), references, other schema types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from hub.contracts.compatibility import LEVELS, RECORD_LEVEL, incompatibilities
from hub.contracts.safety import JsonSchema, UnsafeSchema, check_schema, read_schema
from hub.registry.storage import Storage, Version

DEFAULT_LEVEL = RECORD_LEVEL
_MAX_INT = 2**31 - 1
_SUBJECT = re.compile(r"[A-Za-z0-9._\-]{1,255}")


class ApiError(Exception):
    """An answer other than 2xx: HTTP status, Confluent's error code, message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Call(dict[str, str]):
    """Path and query parameters of one call, and its JSON body where it has one."""

    body: Mapping[str, Any]

    def __init__(self, parameters: Mapping[str, str], body: Mapping[str, Any]) -> None:
        super().__init__(parameters)
        self.body = body

    @property
    def subject(self) -> str:
        if not _SUBJECT.fullmatch(self["subject"]):
            raise ApiError(422, 42208, "A subject is 1 to 255 letters, digits, '.', '_' and '-'")
        return self["subject"]

    def page(self, rows: Sequence[Any]) -> list[Any]:
        """The part of `rows` asked for by `offset` and `limit` (negative: all)."""
        try:
            offset, limit = int(self.get("offset", 0)), int(self.get("limit", -1))
        except ValueError:
            raise ApiError(422, 42202, "offset and limit are whole numbers") from None
        return list(rows[max(offset, 0) :][: limit if limit >= 0 else None])


class Service:
    """One method per route; each takes a `Call`, blocks on the database and returns JSON."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def nothing(self, _: Call) -> Any:
        return {}

    def types(self, _: Call) -> Any:
        return ["AVRO"]

    def mode(self, _: Call) -> Any:
        return {"mode": "READWRITE"}

    def subjects(self, call: Call) -> Any:
        prefix = call.get("subjectPrefix", "")
        return call.page([name for name in self._storage.subjects() if name.startswith(prefix)])

    def versions(self, call: Call) -> Any:
        return call.page(sorted(row.version for row in self._existing(call)))

    def version(self, call: Call) -> Any:
        row = self._version(call)
        return {
            "subject": row.subject,
            "version": row.version,
            "id": row.id,
            "schemaType": "AVRO",
            "schema": row.text,
        }

    def version_schema(self, call: Call) -> Any:
        return json.loads(self._version(call).text)

    def schema(self, call: Call) -> Any:
        return {"schema": self._text(call)}

    def schema_alone(self, call: Call) -> Any:
        return json.loads(self._text(call))

    def schema_versions(self, call: Call) -> Any:
        return call.page([{"subject": row.subject, "version": row.version} for row in self._uses(call)])

    def schema_subjects(self, call: Call) -> Any:
        return call.page(sorted({row.subject for row in self._uses(call)}))

    def register(self, call: Call) -> Any:
        schema, subject = _schema(call.body), call.subject

        def admit(earlier: Sequence[Version], level: str | None) -> None:
            why = _incompatibilities(schema, earlier, level or DEFAULT_LEVEL)
            if why:
                raise ApiError(
                    409,
                    409,
                    f"Schema being registered is incompatible with an earlier schema for subject "
                    f'"{subject}" at level {level or DEFAULT_LEVEL}: {"; ".join(why)}',
                )

        return {"id": self._storage.register(subject, schema, admit)}

    def lookup(self, call: Call) -> Any:
        found = self._storage.find(call.subject, _schema(call.body))
        if found is None:
            self._existing(call)
            raise ApiError(404, 40403, "Schema not found")
        return {
            "subject": found.subject,
            "version": found.version,
            "id": found.id,
            "schema": found.text,
        }

    def compatible(self, call: Call) -> Any:
        """With one version, or without a version with all that the subject's level speaks of."""
        schema = _schema(call.body)
        compared = [self._version(call)] if "version" in call else self._storage.versions(call.subject)
        why = _incompatibilities(schema, compared, self._level(call.subject))
        verbose = call.get("verbose", "").lower() == "true"
        return {"is_compatible": not why, **({"messages": why} if verbose else {})}

    def level(self, call: Call) -> Any:
        if "subject" not in call:
            return {"compatibilityLevel": self._storage.level() or DEFAULT_LEVEL}
        level = self._storage.level(call.subject)
        if level is None and call.get("defaultToGlobal", "").lower() == "true":
            level = self._level(call.subject)
        if level is None:
            raise ApiError(404, 40408, f"Subject '{call.subject}' has no compatibility level of its own")
        return {"compatibilityLevel": level}

    def set_level(self, call: Call) -> Any:
        level = str(call.body.get("compatibility", "")).upper()
        if level not in LEVELS:
            raise ApiError(422, 42203, f"Invalid compatibility level: use one of {', '.join(LEVELS)}")
        self._storage.set_level(level, *([call.subject] if "subject" in call else []))
        return {"compatibility": level}

    def delete_level(self, call: Call) -> Any:
        answer = self.level(call)
        self._storage.set_level(None, *([call.subject] if "subject" in call else []))
        return answer

    def _level(self, subject: str) -> str:
        return self._storage.level(subject) or self._storage.level() or DEFAULT_LEVEL

    def _existing(self, call: Call) -> list[Version]:
        rows = self._storage.versions(call.subject)
        if not rows:
            raise ApiError(404, 40401, f"Subject '{call.subject}' not found.")
        return rows

    def _version(self, call: Call) -> Version:
        name = call["version"]
        number = -1 if name == "latest" else _number(name)
        if number is None or not (number == -1 or number >= 1):
            raise ApiError(
                422, 42202, f"Version is a number from 1 to {_MAX_INT} or latest, not {name!r:.40}"
            )
        rows = self._existing(call)
        for row in rows[:1] if number == -1 else rows:
            if number in (-1, row.version):
                return row
        raise ApiError(404, 40402, f"Version {number} not found.")

    def _text(self, call: Call) -> str:
        number = _number(call["id"])
        text = None if number is None else self._storage.text(number)
        if text is None:
            raise ApiError(404, 40403, f"Schema {call['id']!r:.40} not found")
        return text

    def _uses(self, call: Call) -> list[Version]:
        self._text(call)
        return [
            row
            for row in self._storage.uses(int(call["id"]))
            if row.subject == call.get("subject", row.subject)
        ]


def _number(text: str) -> int | None:
    if not re.fullmatch(r"-?[0-9]{1,10}", text, re.ASCII):
        return None
    return int(text) if abs(int(text)) <= _MAX_INT else None


def _schema(body: Mapping[str, Any]) -> JsonSchema:
    """The safe schema of a request; 422 for any other."""
    if body.get("schemaType") not in (None, "", "AVRO"):
        raise ApiError(422, 42201, f"schemaType {body['schemaType']!r:.40}: only AVRO is kept here")
    for unsupported in ("references", "metadata", "ruleSet"):
        if body.get(unsupported):
            raise ApiError(422, 42201, f"{unsupported} are not supported: send one whole schema")
    text = body.get("schema")
    if not isinstance(text, str):
        raise ApiError(422, 42201, 'Empty schema: the body needs "schema", as a string of JSON')
    try:
        _check(text)
        return read_schema(text)
    except UnsafeSchema as error:
        raise ApiError(422, 42201, f"Invalid schema: {error}") from error


@lru_cache(maxsize=128)
def _check(text: str) -> None:
    """`check_schema`; what was found safe is not looked at again, since agencies share schemas and each
    worker asks for all of them at its start. 128 schemas are 32 MB at most."""
    check_schema(text)


def _incompatibilities(schema: JsonSchema, earlier: Sequence[Version], level: str) -> list[str]:
    return incompatibilities(schema, [(r.version, read_schema(r.text)) for r in earlier], level)
