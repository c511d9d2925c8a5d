"""The API's own description (OpenAPI 3.1), made from the routes that are mounted and what they return."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.responses import Response

from hub.console.access import Permission
from hub.console.routing import API, Guarded, Section
from hub.console.sessions import COOKIE
from hub.console.visit import Visit


def description(sections: Iterable[Section]) -> dict[str, Any]:
    """The document; every route under the API's path is in it, with the schema of what it returns."""
    routes = [one for section in sections for one in section.routes if one.path.startswith(API)]
    returned = [one.returns for one in routes if one.returns]
    schemas, components = msgspec.json.schema_components(returned, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(returned, schemas, strict=True))
    paths: dict[str, Any] = {}
    for one in routes:
        path = re.sub(r":\w+}", "}", one.path)
        assert one.returns is not None
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, by_type[one.returns])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Jisr Hub",
            "version": "1",
            "description": "What the console shows, for programs, by a token or the session of a person.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{"session": []}, {"token": []}],
    }


def _operation(route: Guarded, schema: dict[str, Any]) -> dict[str, Any]:
    problem: dict[str, Any] = {"content": {"application/problem+json": {"schema": _PROBLEM}}}
    refused = _REFUSED | (_FORM_REFUSED if route.method == "POST" else {})
    operation: dict[str, Any] = {
        "summary": route.about,
        "description": f"Needs the permission `{route.permission}`.",
        "parameters": [*_places(route), *(_questions(route) if route.method == "GET" else ())],
        "responses": {
            "200": {"description": "As asked.", "content": {"application/json": {"schema": schema}}},
            **{status: {"description": why, **problem} for status, why in refused.items()},
        },
    }
    if route.method == "POST":
        operation["requestBody"] = _form(route)
    if route.permission is Permission.ANYONE:
        operation["security"] = []
    return operation


# As RFC 9457 has it.
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
_REFUSED = {
    "400": "Something asked for cannot be understood.",
    "401": "Not signed in.",
    "403": "The role does not allow it.",
    "404": "Not there, or not for this role.",
    "429": "Too often; `Retry-After` says when again.",
    "503": "The store or Kafka is away.",
}
_FORM_REFUSED = {
    "409": "Refused as things stand now.",
    "413": "The form is too large.",
}

# What a query parameter holds, if not any text.
_DAY = {"type": "string", "format": "date"}
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
_QUESTIONS = {
    ("since", "audit"): _DAY,
    ("until", "audit"): _DAY,
    ("since", "dead-letters"): _DAY,
    ("until", "dead-letters"): _DAY,
    ("after", "dead-letters"): _NUMBER,
    ("letter", "dead-letters"): _NUMBER,
    ("after", "holds"): _NUMBER,
    ("after", "agencies"): _NUMBER,
    ("before", "audit"): _NUMBER,
    ("partition", "topics"): _NUMBER,
    ("offset", "topics"): _NUMBER,
    ("version", "schemas"): _NUMBER,
    ("compare", "schemas"): _NUMBER,
}


def _places(route: Guarded) -> list[dict[str, Any]]:
    found = re.findall(r"{(\w+)(:int)?", route.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": _NUMBER if number else {"type": "string"}}
        for name, number in found
    ]


def _questions(route: Guarded) -> list[dict[str, Any]]:
    part = route.path.removeprefix(f"{API}/").partition("/")[0]
    return [
        {
            "name": name,
            "in": "query",
            "description": about,
            "schema": _QUESTIONS.get((name, part), {"type": "string"}),
        }
        for name, about in route.asks
    ]


def _form(route: Guarded) -> dict[str, Any]:
    """What is posted: a form, as pages send it, with the token that this session's forms hold."""
    asked = (("csrf", "The token that any form of a page holds. Not with a program's token."), *route.asks)
    fields = {name: {"type": "string", "description": about} for name, about in asked}
    schema = {"type": "object", "properties": fields}
    return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def read(visit: Visit) -> Response:
    return visit.json(description(visit.console.sections))


SECTION = Section(
    (
        Guarded(
            f"{API}/openapi.json",
            read,
            Permission.SIGNED_IN,
            returns=dict,
            about="This description.",
        ),
    )
)
