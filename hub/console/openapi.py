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
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    operation: dict[str, Any] = {
        "summary": route.about,
        "description": f"Needs the permission `{route.permission}`.",
        "parameters": [*_places(route), *(_questions(route) if route.method == "GET" else ())],
        "responses": {
            "200": {"description": "As asked.", "content": {"application/json": {"schema": schema}}},
            "401": {"description": "Not signed in.", **problem},
            "403": {"description": "The role does not allow it.", **problem},
            "404": {"description": "Not there, or not for this role.", **problem},
            "503": {"description": "The store or Kafka is away.", **problem},
        },
    }
    if route.method == "POST":
        operation["requestBody"] = _form(route)
    if route.permission is Permission.ANYONE:
        operation["security"] = []
    return operation


def _places(route: Guarded) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)", route.path)
    return [{"name": it, "in": "path", "required": True, "schema": {"type": "string"}} for it in names]


def _questions(route: Guarded) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "description": about, "schema": {"type": "string"}}
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
