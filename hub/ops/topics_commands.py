"""`jisr topics`: the topics that this release and its agreements need, on an operator's own Kafka."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from hub.contracts.agreements import Agreement
from hub.contracts.kafka_connection import KafkaConnection, kafka_options
from hub.contracts.topics import TopicSpec
from hub.ops.commands import as_json, opened, release_options
from hub.ops.gaps import Gap, gaps, skip
from hub.ops.provision import Standing, compare_topics, is_ours, misdivision, provision_topics, release_topics


def _release(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which release is meant; its topics arrive as `needed`."""

    @release_options
    @functools.wraps(command)
    def loaded(*, partitions: Mapping[str, int], agreed: Sequence[Agreement], **rest: Any) -> None:
        command(needed=release_topics(partitions, agreed), **rest)

    return loaded


@click.group()
def topics() -> None:
    """The topics that this release and its agreements need. None is ever deleted."""


@topics.command("list")
@_release
@as_json
def list_topics(needed: Sequence[TopicSpec], as_json: bool) -> None:
    """List the topics that are needed, with their settings.

    And their partitions. Asks no Kafka.
    """
    if as_json:
        click.echo(json.dumps([_wanted(spec) for spec in needed]))
        return
    width = max((len(spec.name) for spec in needed), default=0)
    for spec in needed:
        settings = " ".join(f"{key}={value}" for key, value in sorted(spec.config.items()))
        click.echo(f"{spec.name:<{width}}  {spec.partitions}  {settings}")


@topics.command("check")
@kafka_options
@_release
@as_json
def check_topics(needed: Sequence[TopicSpec], kafka: KafkaConnection, as_json: bool) -> None:
    """Say what is missing on Kafka, or differs, and how to mend it.

    Changes nothing. Exit code 0 if all is in order, else 1.
    """
    standings, others = compare_topics(kafka, needed)
    wrong = [one for one in standings if not one.in_order]
    unneeded = [name for name in others if is_ours(name)]
    if as_json:
        click.echo(json.dumps({"topics": [_standing(one) for one in standings], "unneeded": unneeded}))
    else:
        for one in wrong:
            click.echo(_complaint(one))
        for name in unneeded:
            click.echo(f"topic {name} is not needed by this release: keep it, or delete it by Kafka's tools")
        click.echo(f"{len(standings) - len(wrong)} of {len(standings)} topics are in order")
    if wrong:
        sys.exit(1)


@topics.command("create")
@kafka_options
@_release
@click.option("--dry-run", is_flag=True, help="Only say what would be made or changed.")
def create_topics(needed: Sequence[TopicSpec], kafka: KafkaConnection, dry_run: bool) -> None:
    """Make what is missing, and put settings right; safe to repeat.

    No topic is deleted or given other partitions. Exit code 1 if one has another number of them than
    needed.
    """
    standings, _ = compare_topics(kafka, needed)
    for line in _steps(standings, dry_run=dry_run):
        click.echo(line)
    if dry_run:
        misdivided = [misdivision(one) for one in standings if one.misdivided]
        if misdivided:
            click.echo("\n".join(misdivided), err=True)
            sys.exit(1)
        return
    made = provision_topics(kafka, needed)
    click.echo(f"{len(needed)} topics are in order, {len(made)} of them made now")


@topics.command("skip-gap")
@click.argument("name", metavar="TOPIC")
@click.option("--yes", is_flag=True, help="Do it; without this the gaps are only shown.")
@click.option("--who", default="", metavar="NAME", help="Who decides; needed with --yes.")
@click.option("--why", default="", metavar="TEXT", help="Why; needed with --yes.")
def skip_gap(name: str, yes: bool, who: str, why: str) -> None:
    """Let a lane that stopped at a gap of TOPIC go on behind it.

    At the oldest message that the topic still holds. What was in the gap is not read by anybody: first
    let the agency say everything again, by `jisr connector resnapshot FILE` there. Partitions that can be
    read on are left alone.
    """
    if yes and not (who.strip() and why.strip()):
        raise click.UsageError("--yes needs --who NAME and --why TEXT: who decides, and why")
    with opened() as parts:
        found = gaps(parts, [name])
        if yes:
            skip(parts, found, who.strip(), why.strip())
    for gap in found:
        click.echo(_gap(gap))
    if not found:
        click.echo(f"{name} has no gap: whatever is next is there")
    elif yes:
        click.echo("the lane begins at what is there; start the workers")
    else:
        click.echo("nothing is changed. Once the agency has said all again: --yes --who NAME --why TEXT")


def _gap(gap: Gap) -> str:
    anew = "; the topic was made anew" if gap.anew else ""
    there = f"{gap.earliest} to {gap.latest} is there"
    return f"lane {gap.lane}: {gap.topic}[{gap.partition}]: {gap.next_offset} is next, {there}{anew}"


def _steps(standings: Sequence[Standing], *, dry_run: bool) -> Iterator[str]:
    making, putting = ("would make", "would put right") if dry_run else ("making", "putting right")
    for one in standings:
        if one.missing:
            yield f"{making} {one.spec.name}: {one.spec.partitions} partitions"
        elif one.settings:
            yield f"{putting} {one.spec.name}: {_differences(one)}"
    if dry_run and all(one.in_order for one in standings):
        yield "nothing to do"


def _complaint(one: Standing) -> str:
    if one.missing:
        return f"topic {one.spec.name} is missing: `jisr topics create` makes it"
    told = [misdivision(one)] if one.misdivided else []
    if one.settings:
        told.append(f"topic {one.spec.name} differs: {_differences(one)}; `jisr topics create` puts it right")
    return "\n".join(told)


def _differences(one: Standing) -> str:
    return ", ".join(
        f"{key} is {found}, should be {one.spec.config[key]}" for key, found in sorted(one.settings.items())
    )


def _wanted(spec: TopicSpec) -> dict[str, Any]:
    return {"topic": spec.name, "partitions": spec.partitions, "settings": dict(spec.config)}


def _standing(one: Standing) -> Mapping[str, Any]:
    state = "missing" if one.missing else "in_order" if one.in_order else "differs"
    return {
        **_wanted(one.spec),
        "state": state,
        "partitions_found": one.partitions,
        "settings_found": dict(one.settings),
    }
