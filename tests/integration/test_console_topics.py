"""The console's topics over real Kafka: messages by offset, key and time, covered and revealed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from ops_hub import OpsHub, ops_hub
from support.changes import minute, said
from support.console import Visitor

from hub.contracts import topics
from hub.local.stack import Stack
from hub.ops.audit import Audit
from hub.ops.browsing import PAGE
from hub.store.audit import Search

Enter = Callable[..., Visitor]
NAME, LOCAL_ID, CIN = "Zineb", "CASE-77", "AB123456"
SAID = 25


@pytest.fixture(scope="module")
def hub(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpsHub]:
    folder: Path = tmp_path_factory.mktemp("topics")
    with ops_hub(stack, folder) as made:
        ads = made.key("ads", LOCAL_ID)
        made.take(said(ads, 1, "insert", cin=CIN, birth_date=datetime.date(1990, 5, 1), given_name_fr=NAME))
        made.publish()
        _say(made)
        yield made


def _say(hub: OpsHub) -> None:
    """Changes of ads in partition 2, the last one rubbish; in partition 3 one of 100 thousand bytes. A
    person's change astray among the enrolments."""
    ads = hub.key("ads", LOCAL_ID)
    with closing(KafkaProducer(bootstrap_servers=hub.bootstrap, acks="all")) as producer:
        for number in range(SAID - 1):
            value = hub.say(ads, minute(number + 1), given_name_fr=f"{NAME}{number}")
            producer.send(changes(hub), key=b"token-1", value=value, partition=2)
        producer.send(changes(hub), key=b"token-2", value=b"rubbish of Zineb", partition=2)
        producer.send(changes(hub), key=b"token-3", value=b"\0" * 100_000, partition=3)
        astray = hub.say(ads, minute(1), cin=CIN, education_level="primary")
        producer.send(topics.changes(hub.name("ads"), "enrolment"), key=b"token-1", value=astray, partition=0)
        producer.flush(30)


def changes(hub: OpsHub) -> str:
    return topics.changes(hub.name("ads"), "person")


def offsets(page: dict[str, Any]) -> list[tuple[int, int]]:
    return [(one["partition"], one["offset"]) for one in page["messages"]]


def test_topics_are_there_as_the_release_has_them(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("operator")
    found = {one["topic"]: one for one in visitor.get("/api/v1/topics").json()["topics"]}
    one = found[changes(hub)]
    assert (one["state"], one["partitions"], one["messages"]) == ("in_order", 6, SAID + 1)
    assert one["retention_ms"] == 7 * 24 * 3600 * 1000
    assert found["hub.links"]["compacted"] is True
    page = visitor.get("/topics").text
    assert f'href="/topics/{changes(hub)}"' in page
    assert "All topics are as in the release." in page


def test_the_newest_come_first_and_offsets_lead_on(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("auditor")
    path = f"/api/v1/topics/{changes(hub)}"
    newest = visitor.get(f"{path}?partition=2").json()
    assert offsets(newest) == [(2, SAID - 1 - n) for n in range(PAGE)]
    assert newest["reaches"][2] == {"partition": 2, "first": 0, "end": SAID}
    assert offsets(visitor.get(f"{path}?partition=2&offset=3").json()) == [(2, 3 + n) for n in range(PAGE)]
    assert offsets(visitor.get(f"{path}?partition=2&offset=22").json()) == [(2, 22), (2, 23), (2, 24)]
    assert offsets(visitor.get(f"{path}?partition=2&offset=25").json()) == []
    assert offsets(visitor.get(f"{path}?partition=2&offset={'9' * 18}").json()) == []
    assert len(offsets(visitor.get(path).json())) == PAGE
    page = visitor.get(f"/topics/{changes(hub)}?partition=2").text
    assert "offset=0" in page, "older ones"


def test_messages_are_found_from_a_time_on(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("operator")
    path = f"/api/v1/topics/{changes(hub)}"
    first = visitor.get(f"{path}?partition=2&offset=0").json()["messages"][0]["at_ms"]
    then = datetime.datetime.fromtimestamp(first / 1000, tz=datetime.UTC).isoformat().replace("+", "%2B")
    assert offsets(visitor.get(f"{path}?partition=2&since={then}").json())[0] == (2, 0)
    assert offsets(visitor.get(f"{path}?since=2001-01-31T14:05").json())[0] == (2, 0)
    assert offsets(visitor.get(f"{path}?since=0002-01-31").json())[0] == (2, 0)
    assert offsets(visitor.get(f"{path}?since=2999-01-31").json()) == []


def test_messages_are_found_by_key_which_stands_in_no_address(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("operator")
    path = f"/topics/{changes(hub)}"
    page = visitor.post(path, page="/topics/hub.links", key="token-2")
    assert re.findall(r"2@\d+", page.text) == [f"2@{SAID - 1}"]
    assert "token-2" not in str(page.url)
    assert "No messages there." in visitor.post(path, page="/topics/hub.links", key="token-9").text
    assert visitor.post(path, page="/topics/hub.links", key=" ").status_code == 400


def test_values_are_covered_for_every_role(hub: OpsHub, enter: Enter) -> None:
    others = ["hub.links", topics.inbox(hub.name("entraide"), "person"), topics.golden("person")]
    for role in ("operator", "steward", "auditor"):
        visitor = enter(role)
        # What differs from role to role is decided in one place; every kind of topic is asked once.
        for topic in (changes(hub), *(others if role == "operator" else ())):
            for answer in (visitor.get(f"/topics/{topic}"), visitor.get(f"/api/v1/topics/{topic}")):
                assert answer.status_code == 200
                for value in (NAME, LOCAL_ID, CIN, "token-1"):
                    assert value not in answer.text, (role, topic, value)


def test_what_the_hub_wrote_is_taken_out_of_its_envelope(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("operator")
    mine = {}
    for kind in ("golden", "assertions"):
        for one in visitor.get(f"/api/v1/topics/hub.person.{kind}").json()["messages"]:
            parts = {part["path"]: part["value"] for part in one["parts"]}
            if hub.name("ads") in parts.values():
                mine[kind] = parts
    assert mine["golden"]["record.given_name_fr"] == "Z••• (5)"
    assert mine["golden"]["live"] == "true"
    assert mine["assertions"]["local_id"] == mine["assertions"]["state"] == "•••"


def test_a_message_that_is_not_what_its_topic_takes_is_covered_whole(hub: OpsHub, enter: Enter) -> None:
    path = f"/api/v1/topics/{topics.changes(hub.name('ads'), 'enrolment')}/0/0"
    found = enter("operator").get(path).json()
    assert "record.education_level" in {part["path"] for part in found["parts"]}
    assert {part["value"] for part in found["parts"]} == {"•••"}


def test_who_may_not_see_dead_letters_sees_none_in_their_topic(hub: OpsHub, enter: Enter) -> None:
    path = f"/topics/{topics.dead_letters(hub.name('ads'))}"
    for ask in (path, f"/api/v1{path}", f"{path}/0/0"):
        assert enter("auditor").get(ask).status_code == 403
    assert enter("auditor").post(path, page="/topics", key="x").status_code == 403
    assert enter("operator").get(path).status_code == 200


def test_rubbish_and_what_is_too_large_is_said(hub: OpsHub, enter: Enter) -> None:
    visitor = enter("operator")
    rubbish = visitor.get(f"/api/v1/topics/{changes(hub)}/2/{SAID - 1}").json()
    assert (rubbish["parts"], rubbish["size"]) == ([], 16)
    assert "not in Confluent's frame" in rubbish["problem"]
    large = visitor.get(f"/topics/{changes(hub)}/3/0").text
    assert "too large to be shown here" in large
    assert "100,000 bytes" in large


def test_a_steward_who_says_why_sees_one_message_and_that_is_kept(hub: OpsHub, enter: Enter) -> None:
    path = f"/topics/{changes(hub)}/2/5"
    visitor = enter("steward")
    assert "Show values in full" in visitor.get(path).text
    assert visitor.post(path, page=path, purpose="why").status_code == 400
    for role in ("operator", "auditor"):
        answer = enter(role).post(path, page="/topics/hub.links", purpose="out of curiosity")
        assert answer.status_code == 403
        assert "Show values in full" not in enter(role).get(path).text
    assert Audit(hub.parts).search(Search(action="reveal"), 10) == []
    shown = visitor.post(path, page=path, purpose="the agency asks what it sent").text
    for value in (f"{NAME}5", LOCAL_ID, "token-1"):
        assert value in shown
    kept = Audit(hub.parts).search(Search(action="reveal"), 10)[0].entry
    assert kept.subject == f"message {changes(hub)}[2]@5"
    assert (kept.who, kept.agency, kept.record_type) == ("Souad", hub.name("ads"), "person")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nobody.person.changes", 404),
        ("__consumer_offsets", 404),
        ("hub.links?partition=99", 404),
        ("hub.links?partition=x", 400),
        ("hub.links?offset=1", 400),
        ("hub.links?partition=0&offset=-1", 400),
        ("hub.links?since=soon", 400),
        ("hub.links/0/424242", 404),
        ("hub.links/99/0", 404),
        (f"hub.links/0/{'9' * 30}", 400),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_refused(enter: Enter, path: str, status: int) -> None:
    visitor = enter("operator")
    assert visitor.get(f"/topics/{path}").status_code == status
    assert visitor.get(f"/api/v1/topics/{path}").status_code == status


@pytest.mark.parametrize(
    ("language", "words"), [("ar", "ما تقوله المؤسسة"), ("fr", "ce que dit l'organisme")]
)
def test_pages_speak_the_readers_language(hub: OpsHub, enter: Enter, language: str, words: str) -> None:
    visitor = enter("steward", language=language)
    for path in ("/topics", f"/topics/{changes(hub)}"):
        assert words in visitor.get(path).text.replace("&#39;", "'")
    text = re.sub(r"<[^>]+>", " ", visitor.get(f"/topics/{changes(hub)}/2/1").text)
    assert "Key" not in text
    assert "Value" not in text
