"""The documentation's page of all record types, made from their contracts: `docs/records.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hub.contracts.records import Catalogue, FieldSpec, RecordType

_HEAD = """\
# Record types

Made from [`schemas/records/`](../schemas/records/person.avsc) by `jisr schema page`; a test holds both
together. `jisr schema show NAME --language fr` shows one of them on a terminal. What the attributes mean
is told [for integrators](integrators.md#a-new-record-type), what each agency may say and hold of these in
its [agreement](../deploy/agreements/ads.yaml).

Each comes after those that it refers to. A field's value is a text unless its type says otherwise; every
field may be absent.
"""
_DELETIONS = {
    "withdraw": "A deletion ends that agency's word.",
    "propagate": "A deletion is passed on to everybody.",
}
_KINDS = {"string": "", "strings": "list of texts", "date": "date", "int": "whole number"}


def page(catalogue: Catalogue) -> str:
    """All record types with their fields, policies and code lists, in Markdown and three languages."""
    return "\n".join(_lines(catalogue))


def _lines(catalogue: Catalogue) -> Iterator[str]:
    yield _HEAD
    for name in catalogue.dependency_order():
        yield from _record(catalogue.records[name])


def _record(record: RecordType) -> Iterator[str]:
    yield f"## {record.name}\n"
    yield from (f"{record.doc[language]}\\" for language in ("en", "fr"))
    yield f"{record.doc['ar']}\n"
    keys = " and ".join(f"`{spec.name}`" for spec in record.natural_keys)
    linked = f" Linked by {keys}." if keys else ""
    yield f"{_DELETIONS[record.delete]}{linked} {_counted(record.partitions)}.\n"
    yield "| field | type | authority | merge | privacy | English | français | العربية |"
    yield "|---|---|---|---|---|---|---|---|"
    for spec in record.fields:
        authority = ", ".join("others" if name == "*" else f"`{name}`" for name in spec.authority)
        said = "anyone" if spec.authority == ("*",) else authority
        meanings = (_meaning(spec, language) for language in ("en", "fr", "ar"))
        cells = (f"`{spec.name}`", _type(spec), said, spec.merge, spec.privacy, *meanings)
        yield f"| {' | '.join(cells)} |"
    yield ""
    for names, codes in code_lists(record):
        yield f"Codes of {', '.join(f'`{name}`' for name in names)}:\n"
        yield "| code | English | français | العربية |"
        yield "|---|---|---|---|"
        yield from (f"| `{code}` | {one['en']} | {one['fr']} | {one['ar']} |" for code, one in codes.items())
        yield ""


def _type(spec: FieldSpec) -> str:
    marks = (
        _KINDS.get(spec.kind, spec.kind),
        f"reference to [`{spec.reference}`](#{spec.reference})" if spec.reference else "",
        "natural key" if spec.natural_key else "",
        f"match: {spec.match}" if spec.match else "",
        "code" if spec.codes else "",
    )
    return ", ".join(filter(None, marks)) or "text"


def _meaning(spec: FieldSpec, language: str) -> str:
    hint = spec.pattern_hint.get(language)
    return spec.doc[language] + (f" ({hint})" if hint else "")


def _counted(partitions: int) -> str:
    return "One partition" if partitions == 1 else f"{partitions} partitions"


def code_lists(record: RecordType) -> list[tuple[list[str], Mapping[str, Mapping[str, str]]]]:
    """Each code list once, with the fields that share it."""
    lists: list[tuple[list[str], Mapping[str, Mapping[str, str]]]] = []
    for spec in record.fields:
        if not spec.codes:
            continue
        names = next((names for names, codes in lists if codes == spec.codes), None)
        if names is None:
            lists.append(([spec.name], spec.codes))
        else:
            names.append(spec.name)
    return lists
