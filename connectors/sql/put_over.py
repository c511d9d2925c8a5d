"""Rows that changed where no trigger saw what was there before: what can be known of that (R30). Pure.

A sweep finds such rows. Others come as inserts over a row that is known to be there: SQLite's `REPLACE`
removes without a delete trigger, and what is loaded into a truncated table meets what was never said to be
gone (R32). As an insert, all of it would be said anew, as of now, and over what others said since (R12).
"""

from __future__ import annotations

from collections.abc import Collection

from connectors.sql.assemble import Edit
from connectors.sql.convert import Converter, Slot
from connectors.sql.local_values import Image, Local
from connectors.sql.mapping import JoinMap
from connectors.sql.row_print import SWEPT, RowPrinter
from connectors.sql.rows import Shadow

# Something that no column holds where it was not empty, and nothing else is known.
_SOMETHING = "?"


def as_update(
    edit: Edit, shadow: Shadow, converter: Converter, printer: RowPrinter, *, emptied: bool
) -> bool:
    """Make an insert over a row that is known to be there the update that it is; whether it was one.

    `emptied`: whether a column that became null was emptied by people. A load into a truncated table only
    does not know it, and erases nobody (R11).
    """
    new = edit.new.get(0)
    known = shadow.row_print
    if edit.operation != "insert" or edit.txid == SWEPT or new is None or known is None:
        return False
    # A life that begins by this insert knows nothing yet; its print may still be that of the one before.
    alive = shadow.born or shadow.own or shadow.delivered or shadow.entity
    if not alive or shadow.deleted or shadow.incarnation != edit.incarnation:
        return False
    if not new.keys() >= set(printer.columns[0]):
        return False
    print_ = int(known, 16)
    apart = [column for part, column in printer.differing(print_, printer.of({0: new})) if part == 0]
    if not emptied:
        apart = [column for column in apart if new[column] is not None]
    edit.operation = "update"
    if edit.old.get(0) is None:
        edit.old[0] = image_before(converter, 0, new, apart, printer.nulls(print_), shadow)
    return True


def image_before(
    converter: Converter,
    part: int,
    now: Image,
    apart: Collection[str],
    nulls: Collection[tuple[int, str]],
    shadow: Shadow,
) -> Image:
    """A row of before, such as can be known: the columns that are not `apart` as they are.

    Of the others the shadow has what the hub wrote; of the agency's own values it has only whether there was
    one: `nulls` are those that were empty.
    """
    before: dict[str, Local] = dict(now)
    for slot in converter.slots_in(part):
        changed = [column for column in slot.columns if column in apart]
        if changed:
            before |= _slot_before(slot, changed, now, nulls, shadow)
    return before


def _slot_before(
    slot: Slot, changed: Collection[str], now: Image, nulls: Collection[tuple[int, str]], shadow: Shadow
) -> dict[str, Local]:
    name = slot.fields[0].name
    if name in shadow.delivered and not isinstance(slot.map, JoinMap):
        return dict(zip(slot.columns, shadow.delivered[name][1], strict=True))
    if slot.fields[0].kind == "strings":
        # Which elements there were is not known: what is there now is said, nothing is taken away.
        return dict.fromkeys(slot.columns)
    was_null = {column: (slot.part, column) in nulls for column in changed}
    return {
        column: None if was_null[column] or now.get(column) is not None else _SOMETHING for column in changed
    }
