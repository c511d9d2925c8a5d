"""Schemas: subjects and versions of the registry, one version in the reader's language, what differs."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from hub.console.access import Permission
from hub.console.asking import number
from hub.console.faults import Fault
from hub.console.languages import marked
from hub.console.routing import API, Guarded, Section
from hub.console.visit import Visit
from hub.ops.finding import NotFound
from hub.ops.schema_view import SchemaChange, Schemas, SchemaVersion

PRIVACY = {
    "none": marked("nobody's secret"),
    "personal": marked("personal"),
    "direct-identifier": marked("identifies directly"),
    "sensitive": marked("sensitive"),
}
MERGES = {
    "latest": marked("the latest word stands"),
    "union": marked("what anybody has added"),
    "max": marked("the highest value stands"),
    "immutable": marked("the first word stays"),
}
CHANGES = {
    "added": marked("The field was added: %(after)s"),
    "removed": marked("The field was removed: %(before)s"),
    "meaning": marked("Described as “%(after)s”, before: “%(before)s”"),
    "type": marked("The type became %(after)s, before: %(before)s"),
    "privacy": marked("The protection became %(after)s, before: %(before)s"),
    "authority": marked("Who has a say became %(after)s, before: %(before)s"),
    "merge": marked("Which word stands became %(after)s, before: %(before)s"),
    "codes": marked("The codes became %(after)s, before: %(before)s"),
    "pattern": marked("The pattern became %(after)s, before: %(before)s"),
    "max_length": marked("The greatest length became %(after)s, before: %(before)s"),
}
OTHER_CHANGE = marked("%(what)s became %(after)s, before: %(before)s")


@dataclass(frozen=True)
class SubjectList:
    """Subjects of the registry that the reader may see, by name."""

    subjects: tuple[str, ...]


@dataclass(frozen=True)
class SchemaView:
    """One version of a subject. `versions`: all, newest first; `compared`: with which version, null if with
    none; `changes` since that one."""

    schema: SchemaVersion
    versions: tuple[int, ...]
    compared: int | None
    changes: tuple[SchemaChange, ...]


def _sees(visit: Visit, subject: str) -> bool:
    """An agency sees what is the hub's and its own, and no other's."""
    owner = subject.partition(".")[0]
    return owner not in visit.parts.agreements or visit.somebody.sees(owner)


def _list(visit: Visit) -> SubjectList:
    found = Schemas(visit.parts.registry).subjects()
    return SubjectList(tuple(subject for subject in found if _sees(visit, subject)))


def show_all(visit: Visit) -> Response:
    found = _list(visit).subjects
    records = [name for name in found if name.startswith("ma.jisr.records.")]
    return visit.page("schemas.html", records=records, events=[name for name in found if name not in records])


def read_all(visit: Visit) -> Response:
    return visit.json(_list(visit))


def _view(visit: Visit) -> SchemaView:
    subject = visit.path("subject")
    if not _sees(visit, subject):
        raise NotFound("not for this reader")
    schemas = Schemas(visit.parts.registry)
    versions = schemas.versions(subject)
    version = number(visit.asked("version"))
    version = versions[0] if version is None else version
    compared = number(visit.asked("compare"))
    if compared == version:
        raise Fault(400, marked("Compare with another version than the one that is shown."))
    return SchemaView(
        schema=schemas.version(subject, version),
        versions=tuple(versions),
        compared=compared,
        changes=() if compared is None else tuple(schemas.difference(subject, compared, version)),
    )


def show(visit: Visit) -> Response:
    return visit.page(
        "schema.html",
        view=_view(visit),
        privacy=PRIVACY,
        merges=MERGES,
        changes=CHANGES,
        other=OTHER_CHANGE,
    )


def read(visit: Visit) -> Response:
    return visit.json(_view(visit))


SECTION = Section(
    title=marked("Schemas"),
    path="/schemas",
    routes=(
        Guarded("/schemas", show_all, Permission.SEE_CONTRACTS),
        Guarded("/schemas/{subject}", show, Permission.SEE_CONTRACTS),
        Guarded(
            f"{API}/schemas",
            read_all,
            Permission.SEE_CONTRACTS,
            returns=SubjectList,
            about="Subjects of the schema registry.",
        ),
        Guarded(
            f"{API}/schemas/{{subject}}",
            read,
            Permission.SEE_CONTRACTS,
            returns=SchemaView,
            about="One version of a subject: its fields with their policies; what differs from another.",
            asks=(
                ("version", "Which version; as if not given: the newest."),
                ("compare", "Also what differs from this version."),
            ),
        ),
    ),
)
