"""How long the console's pages take, as served over HTTP, when the hub has known very many people.

Every round asks every page once, and two floors: what any answer of this server takes, and one with a single
look into an index of the store. A machine that is slow, or busy with something else, is so for all of them:
the ratio to the floor, and the processor time, tell more than the milliseconds.
"""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from hub.errors import Fatal
from hub.lanes.messages import hub_name
from hub.local.bench.multitude import CENTRE, Multitude
from hub.local.bench.plan import Bench
from hub.local.stack import Stack, StackOptions
from hub.ops.behind import adopt_key
from hub.ops.parts import Parts
from hub.settings import HubSettings

# So often each page is asked, of another person each time; nobody may search more often in ten minutes than
# thirty times, by name and by identifier together.
_ROUNDS = 25
_BARE, _LOOK_UP = "floor: a bare page", "floor: one look-up"
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
_WITHIN_S = 60.0

Ask = Callable[[int], httpx.Response]


def pages(bench: Bench) -> dict[str, Any]:
    """p50 and p95 of every page and search in ms, how many times a look-up that is, and the processor time of
    console and store together; and what the one look took that all pages share."""
    size = max(bench.entities)
    with _stage(bench) as (stack, parts):
        people = Multitude(parts, size, bench.seed)
        began = time.monotonic()
        people.fill()
        filled_s = round(time.monotonic() - began, 1)
        with (
            _visitor(stack, "steward") as steward,
            _visitor(stack, "auditor") as auditor,
            _visitor(stack, "operator") as operator,
        ):
            first_look_ms = _timed(lambda: steward.get("/"))
            found = _measured(stack, _asked(parts, people, steward, auditor, operator))
    slowest = max(found, key=lambda name: found[name]["p95_ms"])
    return {
        "entities": size,
        "filled_s": filled_s,
        "first_look_ms": first_look_ms,
        "slowest": slowest,
        "slowest_p95_ms": found[slowest]["p95_ms"],
        "pages": found,
    }


@contextmanager
def _stage(bench: Bench) -> Iterator[tuple[Stack, Parts]]:
    """Kafka, PostgreSQL, the registry and the console of the release's agencies; no worker, no connector."""
    with ExitStack() as cleanup:
        home = Path(tempfile.mkdtemp(prefix="jisr-bench-"))
        cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        options = StackOptions(home=home, processes="full", hub_workers=0, console=True, report=bench.report)
        stack = cleanup.enter_context(Stack(options))
        settings = HubSettings(
            bootstrap=stack.endpoints.bootstrap,
            registry_url=stack.endpoints.registry or "",
            store_url=stack.endpoints.store,
            secret_file=stack.folder.secret_file("hub"),
            schemas=options.schemas,
            agreements=options.agreements,
        )
        parts = cleanup.enter_context(closing(Parts(settings)))
        with parts.store.begin() as tx:
            adopt_key(tx, parts.ids)
        yield stack, parts


@contextmanager
def _visitor(stack: Stack, role: str) -> Iterator[httpx.Client]:
    """Somebody signed in to the console by its local login."""
    assert stack.endpoints.console is not None
    with httpx.Client(base_url=stack.endpoints.console, timeout=_WITHIN_S) as client:
        form = {"code": stack.endpoints.console_code or "", "name": role, "role": role, "next": "/livez"}
        _post(client, "/sign-in", "/sign-in", form)
        yield client


def _post(client: httpx.Client, page: str, path: str, form: Mapping[str, str]) -> httpx.Response:
    token = _TOKEN.search(client.get(page).text)
    if token is None:
        raise Fatal(f"the console's page {page} has no form")
    return client.post(path, data={"csrf": token[1], **form})


def _asked(
    parts: Parts, people: Multitude, steward: httpx.Client, auditor: httpx.Client, operator: httpx.Client
) -> dict[str, Ask]:
    """What is asked, by the page's name. Forms send the token that was given out before they are timed."""
    count = len(people.records)
    some = [hub_name(people.records[turn * count // _ROUNDS]) for turn in range(_ROUNDS)]
    centre = hub_name(parts.ids.record(people.first, "centre", CENTRE, 0))
    pairs = steward.get("/api/v1/reviews").json()["pairs"]
    letters = steward.get("/api/v1/dead-letters?state=all").json()["letters"]
    tokens = {client: _token(client) for client in (steward, auditor, operator)}

    def search(turn: int) -> httpx.Response:
        cin = people.cin(turn * count // _ROUNDS)
        return steward.post("/records", data={"csrf": tokens[steward], "field": "person.cin", "value": cin})

    def by_name(turn: int) -> httpx.Response:
        name, born = people.name(turn * count // _ROUNDS)
        form = {"name": name, "born": born.isoformat() if turn % 2 else str(born.year)}
        return operator.post("/records", data={"csrf": tokens[operator], **form})

    def look_up(turn: int) -> httpx.Response:
        return auditor.post("/records", data={"csrf": tokens[auditor], "hub_id": some[turn]})

    def trail(turn: int) -> httpx.Response:
        who = ("Idriss", "Salma", f"nobody {turn}")[turn % 3]
        return auditor.post("/audit", data={"csrf": tokens[auditor], "who": who})

    return {
        _BARE: lambda _: steward.get("/records"),
        _LOOK_UP: look_up,
        "overview": lambda _: steward.get("/"),
        "agency": lambda turn: steward.get(f"/agencies/{(people.first, people.second)[turn % 2]}"),
        "search by identifier": search,
        "search by name": by_name,
        "file": lambda turn: steward.get(f"/records/{some[turn]}"),
        "file of a centre": lambda _: steward.get(f"/records/{centre}"),
        "reviews": lambda _: steward.get("/reviews"),
        "review": lambda turn: steward.get("/reviews/{a}/{b}".format(**pairs[turn])),
        "dead letters": lambda _: steward.get("/dead-letters"),
        "dead letters, all": lambda _: steward.get("/dead-letters?state=all"),
        "dead letter": lambda turn: steward.get(f"/dead-letters/{letters[turn]['id']}"),
        "audit": lambda _: auditor.get("/audit"),
        "audit, one person": trail,
    }


def _token(client: httpx.Client) -> str:
    found = _TOKEN.search(client.get("/").text)
    assert found is not None
    return found[1]


def _measured(stack: Stack, asked: Mapping[str, Ask]) -> dict[str, dict[str, float]]:
    taken: dict[str, list[float]] = {name: [] for name in asked}
    used = dict.fromkeys(asked, 0.0)
    for turn in range(_ROUNDS):
        for name, ask in asked.items():
            before = _cpu_s(stack)
            taken[name].append(_timed(lambda ask=ask, turn=turn: ask(turn)))  # type: ignore[misc]
            used[name] += _cpu_s(stack) - before
    floors = taken[_LOOK_UP]
    return {
        name: {
            **_percentiles(those),
            "times_floor": round(median(one / floor for one, floor in zip(those, floors, strict=True)), 1),
            "cpu_ms": round(1000 * used[name] / _ROUNDS, 1),
        }
        for name, those in taken.items()
    }


def _cpu_s(stack: Stack) -> float:
    used = stack.cpu_s()
    return used["console"] + used["postgres"]


def _timed(ask: Callable[[], httpx.Response]) -> float:
    """Milliseconds until the answer is there; raises `Fatal` if it is none."""
    began = time.perf_counter()
    answer = ask()
    taken = 1000 * (time.perf_counter() - began)
    if answer.status_code not in (200, 303):
        raise Fatal(
            f"{answer.request.method} {answer.request.url.path} is answered with {answer.status_code}"
        )
    return round(taken, 1)


def _percentiles(taken: Sequence[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {f"p{p}_ms": ordered[math.ceil(len(ordered) * p / 100) - 1] for p in (50, 95)}
