"""`jisr hold` and `jisr review`: what waits for a person, and the person's word."""

from __future__ import annotations

import json

import click

from hub.ops import brake_view, explain_view
from hub.ops.brakes import Brakes
from hub.ops.commands import Revealing, as_json, given, opened, revealing
from hub.ops.finding import require_agency
from hub.ops.holds import HeldField, HeldStory, Holds
from hub.ops.reviews import Reviews

_who = click.option(
    "--who", required=True, callback=given, metavar="NAME", help="Who decides; kept with the decision."
)
_why = click.option(
    "--why", required=True, callback=given, metavar="TEXT", help="Why; kept with the decision."
)
_all = click.option("--all", "all_states", is_flag=True, help="Also those that are decided.")
_record_type = click.option(
    "--record-type", default="person", show_default=True, help="What A and B are, given as agency:local_id."
)


class _HoldNumber(click.ParamType):
    """17 is a held change, B3 a mass of them: (3, True)."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if isinstance(value, tuple):
            return value
        text = str(value).strip()
        number = text.removeprefix("B").removeprefix("b")
        if not number.isdecimal():
            self.fail(f"{text!r} is no hold: use 17, or B3 for a mass of changes", param, ctx)
        return int(number), number != text


_number = click.argument("number", type=_HoldNumber())

# Published by the next worker that sweeps, every few seconds.
_SOON = "the workers publish what follows within seconds"


@click.group()
def hold() -> None:
    """Changes that wait for a person.

    Stale forms, changed identifiers, and masses (B1, B2…).
    """


@hold.command("list")
@click.option("--agency", metavar="AGENCY", help="Only this agency's.")
@_all
@as_json
def list_holds(agency: str | None, all_states: bool, as_json: bool) -> None:
    """List holds, oldest first, without values."""
    with opened() as parts:
        found = Holds(parts).list(agency, all_states=all_states)
        masses = Brakes(parts).list(agency, all_states=all_states)
        if not (found or masses):
            # Of an agency that has left there may be some; of one that never was, nothing is no answer.
            require_agency(parts, agency)
    if as_json:
        those = [*map(brake_view.brake_json, masses), *map(explain_view.hold_json, found)]
        click.echo(json.dumps(those, ensure_ascii=False))
        return
    for line in (*map(brake_view.brake_line, masses), *map(explain_view.hold_line, found)):
        click.echo(line)
    if not (found or masses):
        click.echo("nothing is held")


@hold.command("show")
@_number
@as_json
@revealing
def show_hold(number: tuple[int, bool], as_json: bool, revealing: Revealing) -> None:
    """Show one hold: what waits, what the record says, what stands.

    Of a mass: how many changes, of which fields, and how many of the records others hold.
    """
    if number[1]:
        _show_mass(number[0], as_json=as_json)
    else:
        _show_hold(number[0], revealing, as_json=as_json)


def _show_mass(number: int, *, as_json: bool) -> None:
    with opened() as parts:
        story = Brakes(parts).show(number)
    if as_json:
        click.echo(json.dumps(brake_view.story_json(story), indent=1, ensure_ascii=False))
    else:
        click.echo("\n".join(brake_view.story_lines(story)))


def _show_hold(number: int, revealing: Revealing, *, as_json: bool) -> None:
    with opened() as parts:
        story = Holds(parts).show(number, revealing.veil)
        key = story.hold.change.key
        revealing.note(parts, f"hold {number}", agency=key.agency, record_type=key.record_type)
    if as_json:
        click.echo(json.dumps(_hold_story(story), indent=1, ensure_ascii=False))
        return
    click.echo(explain_view.hold_line(story.hold))
    click.echo(f"  said {story.said} by {story.hold.change.operation}; the record stands for {story.entity}")
    for one in story.fields:
        click.echo(f"  {_held_field(one)}")


@hold.command("release")
@_number
@_who
@_why
def release_hold(number: tuple[int, bool], who: str, why: str) -> None:
    """Apply a held change, or a mass of them.

    As if it came only now: a person has confirmed it.
    """
    hold_id, mass = number
    with opened() as parts:
        if mass:
            count = Brakes(parts).release(hold_id, who, why)
            click.echo(f"hold B{hold_id} released: {count} changes applied; {_SOON}")
            return
        released = Holds(parts).release(hold_id, who, why)
    click.echo(
        f"hold {hold_id} released; {_SOON}" if released else f"hold {hold_id} had been released before"
    )


@hold.command("reject")
@_number
@_who
@_why
def reject_hold(number: tuple[int, bool], who: str, why: str) -> None:
    """Drop a held change, or a mass of them.

    What stands stays, and goes back to the agency.
    """
    hold_id, mass = number
    with opened() as parts:
        if mass:
            count = Brakes(parts).reject(hold_id, who, why)
            click.echo(f"hold B{hold_id} rejected: {count} changes answered; {_SOON}")
            return
        rejected = Holds(parts).reject(hold_id, who, why)
    click.echo(f"hold {hold_id} rejected" if rejected else f"hold {hold_id} had been rejected before")


@click.group()
def review() -> None:
    """Pairs of records that may be one person, or may not.

    Nobody is linked by that alone.
    """


@review.command("list")
@_all
@as_json
def list_reviews(all_states: bool, as_json: bool) -> None:
    """List reviews, oldest first, without values.

    `jisr explain` tells more of each side.
    """
    with opened() as parts:
        found = Reviews(parts).list(all_states=all_states)
    if as_json:
        click.echo(json.dumps([explain_view.pair_json(one) for one in found], ensure_ascii=False))
        return
    for one in found:
        click.echo(explain_view.pair_line(one))
    if not found:
        click.echo("nothing is to be reviewed")


@review.command("same")
@click.argument("a")
@click.argument("b")
@_who
@_why
@_record_type
def same(a: str, b: str, who: str, why: str, record_type: str) -> None:
    """Decide that A and B are the same.

    Each as `jisr review list` names it, or agency:local_id.
    """
    _decide(a, b, record_type, same=True, who=who, why=why)


@review.command("different")
@click.argument("a")
@click.argument("b")
@_who
@_why
@_record_type
def different(a: str, b: str, who: str, why: str, record_type: str) -> None:
    """Decide that A and B are not the same.

    What was linked is parted.
    """
    _decide(a, b, record_type, same=False, who=who, why=why)


def _decide(a: str, b: str, record_type: str, *, same: bool, who: str, why: str) -> None:
    with opened() as parts:
        verdict = Reviews(parts).decide(a, b, record_type, same=same, who=who, why=why)
    word = "same" if same else "different"
    click.echo(f"decided: {word}; {_SOON}" if verdict.new else f"{word} had been decided before")
    if verdict.together != same:
        click.echo("they stand for one entity all the same: other decisions join them", err=True)


def _hold_story(story: HeldStory) -> dict[str, object]:
    return {
        **explain_view.hold_json(story.hold),
        "entity": story.entity,
        "said": story.said,
        "operation": story.hold.change.operation,
        "values": {one.name: one.__dict__ for one in story.fields},
    }


def _held_field(one: HeldField) -> str:
    own = f"the record says {one.own} ({one.own_when})" if one.own_when else "the record says nothing"
    won = (
        f"golden is {one.golden} ({one.golden_by}, {one.golden_when})" if one.golden_by else "none is golden"
    )
    return f"{one.name}: {one.held} waits; {own}; {won}"
