"""`jisr dlq`: messages that could not be used, and what a person makes of them (R27)."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from hub.errors import Fatal
from hub.ops import dlq_view
from hub.ops.audit import Person
from hub.ops.commands import Revealing, as_json, given, opened, revealing
from hub.ops.dead_letters import DeadLetters
from hub.ops.effects import DEAD
from hub.ops.examination import contract_of, examine
from hub.ops.finding import NotFound, require_agency
from hub.ops.moments import milliseconds, since, until
from hub.ops.parts import Parts
from hub.ops.redrive import Preview, Redrive, Redriven
from hub.ops.veil import Veil
from hub.store.dead_letters import DISCARDED, OPEN, REDRIVEN, Wanted

# Each preview is a rehearsal of some ten milliseconds.
_PREVIEWED = 100
_ALL = "all"
_NUMBER = click.IntRange(1, 2**63 - 1)

_yes = click.option("--yes", is_flag=True, help="Do not ask before many are changed; for scripts.")


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which dead letters are chosen; they combine, and arrive as `wanted`."""

    @click.option("--agency", metavar="AGENCY", help="Only this agency's.")
    @click.option("--record-type", metavar="TYPE", help="Only of this record type.")
    @click.option("--reason", metavar="CODE", help="Only with this reason, such as invalid_value.")
    @since
    @until
    @functools.wraps(command)
    def filtered(
        *,
        agency: str | None,
        record_type: str | None,
        reason: str | None,
        since: datetime.datetime | None,
        until: datetime.datetime | None,
        **rest: Any,
    ) -> None:
        wanted = Wanted(
            agency=agency,
            record_type=record_type,
            code=reason,
            since_ms=milliseconds(since),
            until_ms=milliseconds(until),
        )
        command(wanted=wanted, **rest)

    return filtered


_superseded = click.option(
    "--superseded", is_flag=True, help="Only those whose record has said all of it again, or something later."
)


@click.group()
def dlq() -> None:
    """Dead letters: messages that could not be used. Each blocks nothing, and none is lost."""


@dlq.command("list")
@_filters
@_superseded
@click.option(
    "--state",
    type=click.Choice([OPEN, REDRIVEN, DISCARDED, _ALL]),
    default=OPEN,
    show_default=True,
    help="Only in this state.",
)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many at most.")
@as_json
def list_letters(wanted: Wanted, superseded: bool, state: str, limit: int, as_json: bool) -> None:
    """List dead letters, the oldest first, without values."""
    wanted = wanted._replace(state=None if state == _ALL else state)
    with opened() as parts:
        letters = DeadLetters(parts)
        found = letters.search(wanted, limit, superseded_only=superseded)
        heaps = letters.heaps(wanted)
        if not found:
            # Of an agency that has left there may be some; of one that never was, none is no answer.
            require_agency(parts, wanted.agency)
    total = sum(heap.number for heap in heaps)
    _warn(letters)
    if as_json:
        click.echo(json.dumps([dlq_view.as_json(one) for one in found], ensure_ascii=False))
        return
    _say(map(dlq_view.line, found))
    if not found:
        click.echo("no dead letters")
    elif len(found) == limit < total:
        _say(dlq_view.heap_lines(heaps), err=True)
        click.echo(f"the first {limit} of {total} are listed: narrow the choice, or give --limit", err=True)


@dlq.command("show")
@click.argument("number", type=_NUMBER)
@as_json
@revealing
def show_letter(number: int, as_json: bool, revealing: Revealing) -> None:
    """Show one dead letter: why it is dead, and how to mend it.

    And what could be read, its bytes, and where they broke.
    """
    with opened() as parts:
        one = DeadLetters(parts).one(number)
        row, contract = one.row, contract_of(parts, one.row.record_type)
        revealing.note(parts, f"dead letter {number}", agency=row.agency, record_type=row.record_type)
        found = examine(row, contract, parts.registry.schema_by_id, revealing.veil)
    hints = contract.specs[row.path].pattern_hint if contract and row.path in contract.specs else {}
    if as_json:
        shown = dlq_view.story_json(one, found, hints)
        if revealing.reveal:
            shown |= {"key_hex": (row.key or b"").hex(), "value_hex": (row.value or b"").hex()}
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    _say(dlq_view.story(one, found, hints))
    if revealing.reveal and row.key is not None:
        click.echo(f"key: {row.key!r}")


@dlq.command("redrive")
@click.argument("numbers", nargs=-1, type=_NUMBER)
@_filters
@_superseded
@click.option("--preview", is_flag=True, help="Only show what would change, and what would not.")
@click.option("--who", metavar="NAME", help="Who redrives; the account's name if it is not given.")
@click.option("--why", metavar="TEXT", default="", help="What was mended; kept with it.")
@_yes
@as_json
def redrive_letters(
    numbers: tuple[int, ...],
    wanted: Wanted,
    superseded: bool,
    preview: bool,
    who: str | None,
    why: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Take dead letters in again.

    Those of NUMBERS, or all open ones that the options choose. It may be done at any time and any number
    of times: what was said later stands. Exit code 1 if any is still dead.
    """
    with opened() as parts:
        chosen = _chosen(parts, numbers, wanted, superseded)
        redrive = Redrive(parts)
        if preview or (len(chosen) > 1 and not yes):
            previews = redrive.preview(chosen[:_PREVIEWED], Veil())
            _show_previews(previews, len(chosen), as_json=as_json and preview, whole=preview)
        if preview or not chosen:
            return
        _confirm(chosen, "redrive", yes=yes)
        done: list[Redriven] = []
        try:
            for one in redrive.redrive(chosen, Person.at_keyboard(who), why.strip()):
                done.append(one)
        finally:
            # What was done before an error is done, and must be told.
            _show_redriven(done, as_json=as_json)
    if any(one.outcome == DEAD for one in done):
        sys.exit(1)


@dlq.command("discard")
@click.argument("numbers", nargs=-1, type=_NUMBER)
@_filters
@_superseded
@click.option("--who", required=True, callback=given, metavar="NAME", help="Who decides; kept with it.")
@click.option("--why", required=True, callback=given, metavar="TEXT", help="Why; kept with it.")
@_yes
@as_json
def discard_letters(
    numbers: tuple[int, ...],
    wanted: Wanted,
    superseded: bool,
    who: str,
    why: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Set dead letters aside for good.

    Those of NUMBERS, or all open ones that the options choose. Their bytes are kept, with who decided and
    why; a discarded one can still be redriven by its number.
    """
    with opened() as parts:
        chosen = _chosen(parts, numbers, wanted, superseded)
        if not chosen:
            return
        _confirm(chosen, "discard", yes=yes)
        done = DeadLetters(parts).discard(chosen, Person.at_keyboard(who), why)
    if as_json:
        click.echo(json.dumps({"discarded": done}))
        return
    before = len(chosen) - len(done)
    if done:
        click.echo(f"{dlq_view.numbers(done)} discarded")
    if before:
        click.echo(f"{before} had been discarded before")


def _chosen(parts: Parts, numbers: tuple[int, ...], wanted: Wanted, superseded: bool) -> Sequence[int]:
    """The numbers of what a command is to change; a choice must be made, and a number must exist."""
    if numbers and (superseded or wanted != Wanted()):
        raise click.UsageError("give numbers, or options that choose: not both")
    if not (numbers or superseded or wanted != Wanted()):
        raise click.UsageError("which? Give numbers (`jisr dlq list`), or options that choose")
    letters = DeadLetters(parts)
    if not numbers:
        found = letters.numbers(wanted._replace(state=OPEN), superseded_only=superseded)
        _warn(letters)
        if not found:
            click.echo("no open dead letters are chosen by that", err=True)
        return found
    found = letters.numbers(Wanted(ids=numbers))
    if missing := sorted(set(numbers) - set(found)):
        raise NotFound(f"no dead letter {missing[0]}: `jisr dlq list --state all` shows all")
    return found


def _confirm(chosen: Sequence[int], deed: str, *, yes: bool) -> None:
    if yes or len(chosen) == 1:
        return
    what = dlq_view.numbers(chosen)
    if not sys.stdin.isatty():
        raise Fatal(f"{deed} {what}? Nobody can be asked here: give --yes")
    click.confirm(f"{deed} {what}?", abort=True, err=True)


def _show_previews(previews: Sequence[Preview], total: int, *, as_json: bool, whole: bool) -> None:
    if as_json:
        click.echo(json.dumps([dlq_view.preview_json(one) for one in previews], ensure_ascii=False))
    elif whole:
        for one in previews:
            _say(dlq_view.preview_lines(one))
    some = f"of the first {len(previews)} of {total}: " if len(previews) < total else ""
    if len(previews) > 1:
        foreseen = dlq_view.foreseen(one.outcome for one in previews)
        click.echo(f"{some}{foreseen}", err=as_json or not whole)


def _show_redriven(done: Sequence[Redriven], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in done], ensure_ascii=False))
    elif done:
        _say(map(dlq_view.redriven_line, done))
        click.echo(f"{dlq_view.summary(one.outcome for one in done)}; the workers publish what follows")


def _say(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        click.echo(dlq_view.printable(line), err=err)


def _warn(letters: DeadLetters) -> None:
    if letters.problem:
        click.echo(f"what they say could not be read: {letters.problem}", err=True)
