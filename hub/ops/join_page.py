"""A sheet as one page of HTML: nothing is loaded, nothing runs, and it reads from the right in Arabic."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from hub.ops.join_sheet import Section, Sheet, Table

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: .3rem 0 1.2rem; }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .7rem; text-align: start; vertical-align: top; }
th { border-bottom-width: 2px; }
h2 { border-top: 3px solid #446; margin-top: 2.5rem; padding-top: .5rem; }
h3 { font-size: 1rem; margin: 0; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } th, td { border-color: #555; } }
"""


def page(sheet: Sheet) -> str:
    """The whole page. Every text is escaped: an agency's database may hold anything."""
    direction = "rtl" if sheet.language == "ar" else "ltr"
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in sheet.notes)
    body = "".join(_section(section) for section in sheet.sections)
    return (
        f'<!DOCTYPE html>\n<html lang="{sheet.language}" dir="{direction}">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(sheet.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(sheet.title)}</h1>\n{notes}{body}</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    tables = "".join("".join(_table(table)) for table in section.tables)
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in section.notes)
    return f"<h2>{escape(section.title)}</h2>\n{tables}{notes}"


def _table(table: Table) -> Iterator[str]:
    yield f"<h3>{escape(table.title)}</h3>\n<table>\n"
    yield f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in table.head)}</tr>\n"
    for row in table.rows:
        # Values, keys and codes of other scripts keep their own direction.
        yield f"<tr>{''.join(f'<td><bdi>{escape(cell)}</bdi></td>' for cell in row)}</tr>\n"
    yield "</table>\n"
