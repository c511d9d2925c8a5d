"""Client of a Confluent-compatible schema registry: ours, or one that an operator runs already."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from hub.contracts.safety import JsonSchema, UnsafeSchema, check_schema, read_schema
from hub.errors import ConfigurationError, Retriable, SkipRecord

# An unknown id is asked for again after this time: long enough that a stream of such messages does not
# become a stream of requests, short enough that a schema registered a moment ago is soon seen.
UNKNOWN_ID_TTL_S = 5.0
# Ids come from agencies' messages: whoever invents them must not fill the memory.
MAX_UNKNOWN_IDS = 1_000

_NOT_FOUND = (40401, 40402, 40403)  # subject, version, schema
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class NotRegistered(ConfigurationError):
    """The registry has no such subject or schema: `jisr schema register` puts it there."""


class RegistryRefusal(ConfigurationError):
    """The registry refuses the schema (unsafe or incompatible) or the token; the message says why."""


class SchemaNumbers(Protocol):
    """What gives schemas their numbers, and schemas for numbers: a registry, or this process alone."""

    def lookup(self, subject: str, schema: JsonSchema) -> int:
        """The number of `schema` under `subject`; raises `NotRegistered`."""

    def schema_by_id(self, schema_id: int) -> dict[str, Any]:
        """The schema of a number; raises `SkipRecord` for one that is unknown."""


class RegistryClient:
    """Calls block, for `timeout_s` seconds at most; safe to share between threads.

    `url` may carry user and password (basic authentication); `token` is sent as bearer instead. `ca_file`
    holds the authorities (PEM) by which an https server is checked, without it the system's do. Every
    call raises `Retriable` if the registry does not answer, `RegistryRefusal` if it refuses.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout_s: float = 5,
        *,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        base = httpx.URL(url.rstrip("/"))
        self._shown = str(base.copy_with(username="", password=""))
        self._http = httpx.Client(
            base_url=self._shown,
            auth=(base.username, base.password) if base.username and not token else None,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            timeout=timeout_s,
            verify=_checked_by(base.scheme, ca_file),
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._schemas: dict[int, dict[str, Any]] = {}
        self._unknown_until: dict[int, float] = {}

    def close(self) -> None:
        self._http.close()

    def schema_by_id(self, schema_id: int) -> dict[str, Any]:
        """The schema that a message was written with; asked for once, since an id never changes.

        Raises `SkipRecord`: `unknown_schema_id`, or `unsafe_schema` for one that must not be decoded
        with (R6). The result is shared: do not change it.
        """
        with self._lock:
            known = self._schemas.get(schema_id)
            asked_lately = self._unknown_until.get(schema_id, 0.0) > self._clock()
        if known is not None:
            return known
        answer = None if asked_lately else self._call("GET", f"/schemas/ids/{schema_id}")
        if answer is None:
            if not asked_lately:
                self._remember_unknown(schema_id)
            raise SkipRecord(
                "unknown_schema_id",
                f"schema id {schema_id} is not in the registry {self._shown}: "
                "write with a schema that the hub's operators have registered",
            )
        if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
            raise Retriable(f"{self._shown} answers, but not as a schema registry does")
        schema = _decodable(schema_id, answer)
        with self._lock:
            return self._schemas.setdefault(schema_id, schema)

    def register(self, subject: str, schema: JsonSchema) -> int:
        """The id of `schema` under `subject`, registered now if it was not; needs the token."""
        answer = self._call("POST", _versions(subject), _body(schema))
        return int(self._found(answer, subject)["id"])

    def lookup(self, subject: str, schema: JsonSchema) -> int:
        """The id of `schema` under `subject`; raises `NotRegistered`."""
        answer = self._call("POST", f"/subjects/{quote(subject, safe='')}", _body(schema))
        return int(self._found(answer, subject)["id"])

    def latest(self, subject: str) -> tuple[int, int, JsonSchema]:
        """(id, version, schema) of the newest version; raises `NotRegistered`."""
        answer = self._found(self._call("GET", f"{_versions(subject)}/latest"), subject)
        return int(answer["id"]), int(answer["version"]), read_schema(answer["schema"])

    def subjects(self) -> frozenset[str]:
        """All subjects that the registry knows."""
        return frozenset(self._call("GET", "/subjects") or ())

    def versions(self, subject: str) -> list[tuple[int, JsonSchema]]:
        """All (version, schema) pairs, newest first; empty for an unknown subject."""
        numbers = self._call("GET", _versions(subject)) or []
        answers = [self._call("GET", f"{_versions(subject)}/{n}") for n in sorted(numbers)[::-1]]
        return [(int(a["version"]), read_schema(a["schema"])) for a in answers if a]

    def set_compatibility(self, subject: str, level: str) -> None:
        """Set the level that the subject's next versions are held to; needs the token."""
        self._call("PUT", f"/config/{quote(subject, safe='')}", {"compatibility": level})

    def _found(self, answer: Any, subject: str) -> Any:
        if answer is None:
            raise NotRegistered(
                f"registry {self._shown}: {subject} has no such schema; run `jisr schema register`"
            )
        return answer

    def _remember_unknown(self, schema_id: int) -> None:
        with self._lock:
            if len(self._unknown_until) >= MAX_UNKNOWN_IDS:
                self._unknown_until.clear()
            self._unknown_until[schema_id] = self._clock() + UNKNOWN_ID_TTL_S

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON, or None if the registry says that it has no such thing."""
        try:
            response = self._http.request(
                method, path, json=body, headers={"Accept": f"{_MEDIA_TYPE}, application/json"}
            )
        except httpx.TransportError as error:
            raise Retriable(f"schema registry {self._shown} does not answer: {error}") from error
        if response.is_success:
            return self._json(response)
        status, (code, message) = response.status_code, _error(response)
        if status in (408, 429) or status >= 500:
            raise Retriable(f"schema registry {self._shown} answers {status}: {message}")
        if code in _NOT_FOUND:
            return None
        # A bare 404 is another server, or a wrong path: taken for "unknown id", it would send every
        # message to the dead letters.
        raise RegistryRefusal(f"schema registry {self._shown} answers {status} to {method} {path}: {message}")

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise Retriable(f"{self._shown} answers, but not as a schema registry does") from error


def _checked_by(scheme: str, ca_file: Path | None) -> ssl.SSLContext:
    if scheme != "https" and ca_file is None:
        # Trusts nobody, and is not asked: to read the system's authorities takes 40 ms of each start.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"JISR_REGISTRY_CA_FILE: {ca_file} holds no certificates in PEM that can be read: {error}"
        ) from error


def _decodable(schema_id: int, answer: dict[str, Any]) -> dict[str, Any]:
    foreign = answer.get("schemaType", "AVRO") != "AVRO" or answer.get("references")
    try:
        schema = read_schema(answer["schema"])
        check_schema(schema)
    except UnsafeSchema as error:
        raise SkipRecord("unsafe_schema", f"schema id {schema_id}: {error}") from error
    if foreign or not isinstance(schema, dict):
        raise SkipRecord("unsafe_schema", f"schema id {schema_id}: not one Avro record without references")
    return schema


def _versions(subject: str) -> str:
    return f"/subjects/{quote(subject, safe='')}/versions"


def _body(schema: JsonSchema) -> dict[str, str]:
    return {"schema": json.dumps(read_schema(schema), ensure_ascii=False)}


def _error(response: httpx.Response) -> tuple[int | None, str]:
    """(Confluent's error code, message) of an error's body."""
    try:
        body = response.json()
        return body["error_code"], str(body["message"])
    except (ValueError, KeyError, TypeError):
        return None, response.text[:200]
