"""No page of the console reads a large table whole, however it is asked: proved by its statements' plans.

A store is filled with very many people and all that waits for somebody. Every page is asked, and each
statement that it sent is explained and run once more: how many rows did any step of it pass?
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from ops_hub import OpsHub, ops_hub
from sqlalchemy import event
from support.console import Visitor

from hub.lanes.messages import hub_name
from hub.local.bench.multitude import CENTRE, Multitude
from hub.local.stack import Stack
from hub.store import dead_letters, stewardship

ENTITIES = 25_000
# More than any page shows or opens, less than a fifth of the smallest table that is large.
BOUND = 5_000
LARGE = {
    "audit", "dead_letter", "dispute", "entity", "hold", "identity", "record", "record_name", "reference",
    "review", "undelivered",
}  # fmt: skip

Enter = Callable[..., Visitor]
Statement = tuple[str, Any]


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    with ops_hub(stack, tmp_path_factory.mktemp("plans")) as made:
        yield made


@pytest.fixture(scope="module")
def people(hub: OpsHub) -> Multitude:
    made = Multitude(hub.parts, ENTITIES, seed=1)
    made.fill()
    return made


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """So far as this is counted; as is the bound, in proportion to how many people there are."""
    for module in (dead_letters, stewardship):
        monkeypatch.setattr(module, "COUNTED", 150)


@contextmanager
def listening(hub: OpsHub) -> Iterator[list[Statement]]:
    """What is asked of the store meanwhile, but for the one look that all pages share and none waits for."""
    heard: list[Statement] = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if not threading.current_thread().name.startswith("look"):
            heard.append((statement, parameters))

    event.listen(hub.parts.store.engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(hub.parts.store.engine, "before_cursor_execute", hear)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def excesses(hub: OpsHub, statements: Sequence[Statement]) -> Iterator[str]:
    """Steps of these statements that read a large table whole, or pass more rows than a page needs."""
    for statement, parameters in statements:
        if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
            continue
        with hub.parts.looking() as tx:
            explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
            (found,) = tx.connection.exec_driver_sql(explain, parameters).scalar_one()
        for node in nodes(found["Plan"]):
            passed = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            passed = round(passed * node["Actual Loops"])
            scanned = node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE
            if scanned or passed > BOUND:
                place = f"{node['Node Type']} on {node.get('Relation Name', node.get('Index Name', '?'))}"
                yield f"{place}: {passed} rows in\n{statement}"


def asked(hub: OpsHub, ask: Callable[[], Any]) -> list[Statement]:
    with listening(hub) as heard:
        answer = ask()
    assert answer.status_code == 200, answer.text
    return heard


def test_a_whole_table_is_noticed(hub: OpsHub, people: Multitude) -> None:
    assert any(excesses(hub, [("SELECT count(*) FROM record", ())]))
    assert any(excesses(hub, [("SELECT * FROM audit WHERE purpose = 'x'", ())]))
    by_key = ("SELECT * FROM record WHERE id = %(id)s", {"id": people.records[7]})
    assert not list(excesses(hub, [by_key]))


def test_no_page_reads_a_table_whole(hub: OpsHub, people: Multitude, enter: Enter) -> None:
    visitor = enter("steward")
    (letter,) = hub.rows("SELECT id FROM dead_letter WHERE code = 'invalid_value' AND state = 'open' LIMIT 1")
    (hold,) = hub.rows("SELECT id FROM hold WHERE state = 'held' LIMIT 1")
    (far,) = hub.rows("SELECT a, b FROM review WHERE state = 'open' ORDER BY created_at DESC LIMIT 1")
    far_a, far_b = hub_name(far.a), hub_name(far.b)
    last = hub.rows("SELECT max(id) AS id FROM dead_letter WHERE state = 'open'")[0].id
    centre = hub_name(hub.parts.ids.record(people.first, "centre", CENTRE, 0))
    agency = f"agency={people.second}"
    visitor.get("/")
    for path in (
        "/",
        f"/agencies/{people.second}",
        f"/agencies/{people.second}/disclosures",
        f"/holds/{hold.id}",
        f"/records/{hub_name(people.records[77])}",
        f"/records/{centre}",
        "/reviews",
        f"/reviews?after={far_a}.{far_b}",
        f"/reviews/{far_a}/{far_b}",
        "/dead-letters",
        "/dead-letters?state=all",
        f"/dead-letters?state=discarded&{agency}&record_type=person&code=unknown_code",
        "/dead-letters?code=not_permitted&since=2023-11-16&until=2023-11-17",
        "/dead-letters?superseded=1",
        f"/dead-letters?after={last}",
        f"/dead-letters/{letter.id}",
    ):
        found = list(excesses(hub, asked(hub, lambda path=path: visitor.get(path))))  # type: ignore[misc]
        assert not found, f"{path}\n" + "\n".join(found)


def test_no_search_reads_a_table_whole(hub: OpsHub, people: Multitude, enter: Enter) -> None:
    steward, auditor = enter("steward"), enter("auditor")
    for fields in (
        {"agency": people.first, "record_type": "person", "local_id": people.local_id(4711)},
        {"field": "person.cin", "value": people.cin(4712)},
        {"hub_id": hub_name(people.records[4713])},
        {"name": people.name(4714)[0], "born": ""},
        {"name": people.name(4715)[0].split()[0], "born": str(people.name(4715)[1].year)},
    ):
        heard = asked(hub, lambda fields=fields: steward.post("/records", "/records", **fields))  # type: ignore[misc]
        found = list(excesses(hub, heard))
        assert not found, f"{fields}\n" + "\n".join(found)
    for fields in (
        {},
        {"who": "Idriss"},
        {"who": "salma@desk", "action": "reveal"},
        {"subject": f"person {hub_name(people.records[5])}"},
        {"action": "retire"},
        {"agency": people.first, "action": "same"},
        {"since": "2023-11-15", "until": "2023-11-15"},
        {"until": "2023-11-15", "agency": people.first},
        {"who": "Idriss", "before": "15"},
    ):
        heard = asked(hub, lambda fields=fields: auditor.post("/audit", "/audit", **fields))  # type: ignore[misc]
        found = list(excesses(hub, heard))
        assert not found, f"{fields}\n" + "\n".join(found)


def test_pages_follow_each_other_without_gaps(hub: OpsHub, people: Multitude, enter: Enter) -> None:
    """Read on from page to page, everything comes once, in order."""
    visitor = enter("steward")
    agency, code = people.first, "unknown_code"
    wanted = hub.rows(
        "SELECT id FROM dead_letter WHERE state = 'open' AND agency = %s AND code = %s ORDER BY at_ms, id",
        agency,
        code,
    )
    found: list[int] = []
    after = ""
    while True:
        page = visitor.get(f"/api/v1/dead-letters?agency={agency}&code={code}&after={after}").json()
        found += [one["id"] for one in page["letters"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert found == [row.id for row in wanted]
    assert len(found) > 500
    pairs: list[tuple[str, str]] = []
    more = ""
    for _ in range(5):
        queue = visitor.get(f"/api/v1/reviews?after={more}").json()
        pairs += [(one["a"], one["b"]) for one in queue["pairs"]]
        more = queue["more"]
    first = hub.rows("SELECT a, b FROM review WHERE state = 'open' ORDER BY created_at, a, b LIMIT 250")
    assert pairs == [(hub_name(row.a), hub_name(row.b)) for row in first]
