"""Agencies that use stock clients and nothing of ours, against a hub of two workers, one of which is killed:
Confluent's own in Python (docs/examples/stock_client.py), Apache's in Java (docs/examples/java)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hub.contracts.agreements import load_agreements
from hub.contracts.records import Catalogue
from hub.local.stack import PROJECT, Stack, StackOptions

AGREEMENTS = load_agreements(
    PROJECT / "deploy" / "agreements", Catalogue.load(PROJECT / "schemas" / "records")
)


@pytest.fixture(scope="module")
def hub() -> Iterator[Stack]:
    """No connectors: the agencies speak for themselves."""
    home = Path(tempfile.mkdtemp(prefix="jisr-stock-"))
    agreements = home / "agreements"
    shutil.copytree(PROJECT / "deploy" / "agreements", agreements)
    with (agreements / "ads.yaml").open("a", encoding="utf-8") as file:
        file.write("echoes: filtered\n")
    options = StackOptions(home=home, processes="full", hub_workers=2, agreements=agreements)
    try:
        with Stack(options) as running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def client() -> ModuleType:
    path = PROJECT / "docs" / "examples" / "stock_client.py"
    spec = importlib.util.spec_from_file_location("stock_client", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules["stock_client"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def agencies(hub: Stack, client: ModuleType) -> Iterator[tuple[Any, Any]]:
    """Entraide and ADS, with nothing of their own to begin with."""
    both = tuple(
        client.Agency(name, hub.endpoints.bootstrap, hub.endpoints.registry, key)
        for name, key in (("entraide", b"e" * 32), ("ads", b"a" * 32))
    )
    for agency in both:
        # Of every record type that it may speak of: until then the hub waits for what it had before.
        agency.join(list(AGREEMENTS[agency.name].publishes))
    yield both
    for agency in both:
        agency.close()


def heard(agency: Any, record_type: str, **expected: Any) -> dict[str, Any]:
    """The first projection that shows these values; reads on until it comes."""
    for _ in range(60):
        for projection in agency.read([record_type], idle_s=1):
            image = projection["record"] or {}
            if all(image.get(name) == value for name, value in expected.items()):
                return dict(projection)
    raise AssertionError(f"{agency.name} never heard of {expected}")


def test_a_stock_client_says_and_hears_also_when_a_worker_is_killed(
    hub: Stack, agencies: tuple[Any, Any]
) -> None:
    entraide, ads = agencies
    entraide.say(
        "person", "17", "insert", {"cin": "SH1", "family_name_ar": "الإدريسي", "given_name_ar": "ليلى"}
    )
    told = heard(ads, "person", cin="SH1", family_name_ar="الإدريسي")
    assert told["local_id"] is None
    assert told["operation"] == "upsert"

    hub.kill("hub-0")
    entraide.say("person", "17", "update", {"family_name_ar": "العلوي"})
    corrected = heard(ads, "person", cin="SH1", family_name_ar="العلوي")
    assert corrected["entity"] == told["entity"]
    assert corrected["version"] > told["version"]
    own = heard(entraide, "person", cin="SH1", family_name_ar="العلوي")
    assert own["local_id"] == "17"
    # Each agency has its own name of the entity: two of them cannot compare notes (R4).
    assert own["entity"] != told["entity"]
    # What was there before is of unknown age (R11).
    assert ads.say("person", "7", "snapshot", {"cin": "SH7", "family_name_ar": "قديم"})["asserted"] == 0
    assert heard(entraide, "person", cin="SH7")["stamp"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("say", "persn", "1", "insert"), "ads has no records of type 'persn' to say: see its agreement"),
        (("say", "person", "1", "insert", "cim=A1"), "person has no field 'cim'; there are cin, massar_code"),
        (
            ("say", "person", "1", "insert", "birth_date=1990-13-05"),
            "birth_date: '1990-13-05' is not a day like 1990-05-01",
        ),
        (("say", "centre", "1", "insert", "capacity=x"), "capacity: 'x' is not a number"),
        (("join", "persn"), "ads.persn.changes: "),
        (("read", "persn"), "ads.persn.inbox: "),
    ],
)
def test_a_mistake_on_the_command_line_is_named(
    hub: Stack, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    key = tmp_path / "agency.key"
    key.write_bytes(b"a" * 32)
    environment = {
        "JISR_BOOTSTRAP": hub.endpoints.bootstrap,
        "JISR_REGISTRY_URL": hub.endpoints.registry,
        "JISR_AGENCY_KEY_FILE": str(key),
    }
    script = PROJECT / "docs" / "examples" / "stock_client.py"
    done = subprocess.run(
        [sys.executable, str(script), "ads", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "stock_client: " in done.stderr
    assert said in done.stderr


def whole(agency: Any, projection: dict[str, Any], **edited: Any) -> None:
    """Save a whole record as it was read, with an edit: a client that keeps no note of what it was told."""
    ((_, local_id),) = (place for place, row in agency.rows.items() if row.entity == projection["entity"])
    agency.rows["person", local_id].delivered.clear()
    image = {name: projection["record"][name] for name in projection["fields"]}
    agency.say("person", local_id, "update", {**dict.fromkeys(("phone", "commune")), **image, **edited})


def test_a_client_that_saves_whole_records_overwrites_and_keeps_nothing(agencies: tuple[Any, Any]) -> None:
    entraide, ads = agencies
    entraide.say(
        "person",
        "31",
        "insert",
        {"cin": "SH31", "family_name_ar": "الراجي", "phone": "+212611111111", "languages": ["ar"]},
    )
    told = heard(ads, "person", cin="SH31")
    # Its own edit goes through, though everything else comes with it.
    whole(ads, told, given_name_fr="Leila")
    heard(entraide, "person", cin="SH31", given_name_fr="Leila")
    # An update on its way to it is not overwritten by the old record, nor by what was empty in it.
    entraide.say("person", "31", "update", {"phone": "+212622222222", "commune": "12.066.01.01"})
    whole(ads, told, given_name_fr="Layla")
    # Two topics have no order: what comes first may be the name alone.
    heard(
        entraide,
        "person",
        cin="SH31",
        given_name_fr="Layla",
        phone="+212622222222",
        commune="12.066.01.01",
    )
    told = heard(ads, "person", cin="SH31", given_name_fr="Layla", phone="+212622222222")
    # Written back as it came, it is no news: nobody hears of it.
    whole(ads, told)
    assert [one for one in ads.read(["person"], idle_s=5) if one["entity"] == told["entity"]] == []
    # What entraide said ends with its record, everywhere; what ads itself said is left.
    entraide.say("person", "31", "delete", {})
    for _ in range(60):
        left = [one for one in ads.read(["person"], idle_s=1) if one["entity"] == told["entity"]]
        if left:
            break
    assert left[-1]["fields"] == ["given_name_fr"]
    assert left[-1]["record"]["given_name_fr"] == "Layla"


@pytest.mark.parametrize("first", ["who keeps the row", "who is without one"])
def test_a_stock_client_keeps_two_apart_who_were_one(hub: Stack, client: ModuleType, first: str) -> None:
    """A split and a merge, by two partitions: in whichever order they are read (R18, R21)."""
    said: list[tuple[str, ...]] = []
    apart = client.Agency("ads", hub.endpoints.bootstrap, hub.endpoints.registry, b"a" * 32)
    apart.say = lambda record_type, local_id, operation, _: said.append((record_type, local_id, operation))

    def told(entity: str, version: int, local_id: str | None, cin: str, **more: Any) -> bool:
        projection = {"entity": entity, "version": version, "local_id": local_id, "operation": "upsert"}
        image = {"record": {"cin": cin}, "fields": ["cin"], "stamp": version}
        return bool(apart.apply("person", projection | image | more))

    told("E1", 1, "7", "SH1")
    split = [("E2", 2, "7", "SH2"), ("E1", 2, None, "SH1")]
    for one in split if first == "who keeps the row" else reversed(split):
        assert told(*one)
    ((_, made, operation),) = said
    assert operation == "link"
    assert {(key[1], row.entity, row.delivered["cin"]) for key, row in apart.rows.items()} == {
        ("7", "E2", "SH2"),
        (made, "E1", "SH1"),
    }
    # The hub has not heard of the new row yet, and means it all the same.
    assert told("E1", 3, None, "SH3")
    assert apart.rows["person", made].delivered == {"cin": "SH3"}
    # One again: what was said of the one before does not undo what the other was told.
    assert told("E2", 9, "7", "SH9")
    told("E3", 9, "7", "SH9")
    assert told("E3", 11, "7", "SH11")
    assert not told("E2", 10, "7", "SH10")
    assert apart.rows["person", "7"].delivered == {"cin": "SH11"}
    apart.close()


@pytest.fixture
def java(hub: Stack, tmp_path: Path) -> Callable[..., str]:
    """Runs the example client in Java, built as its page says; returns what it prints."""
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        pytest.skip("no Maven or no Java compiler here")
    built = tmp_path / "java"
    shutil.copytree(PROJECT / "docs" / "examples" / "java", built, ignore=shutil.ignore_patterns("target"))
    subprocess.run(["mvn", "-q", "-B", "-f", str(built), "package"], check=True, timeout=300)
    key = tmp_path / "agency.key"
    key.write_bytes(b"r" * 32)
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "JISR_BOOTSTRAP": hub.endpoints.bootstrap,
        "JISR_REGISTRY_URL": hub.endpoints.registry,
        "JISR_AGENCY_KEY_FILE": str(key),
    }

    def run(*arguments: str) -> str:
        libraries = f"{built / 'target' / 'classes'}:{built / 'target' / 'lib'}/*"
        command = ["java", "-cp", libraries, "StockClient", "region-laayoune", *arguments]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=120
        ).stdout

    return run


def test_a_stock_client_in_java_says_and_hears(agencies: tuple[Any, Any], java: Callable[..., str]) -> None:
    entraide, ads = agencies
    java("join", *AGREEMENTS["region-laayoune"].publishes)
    said = ("cin=SH901", "birth_date=1990-05-01", "family_name_fr=Alaoui")
    java("say", "person", "9", "insert", *said)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        java("say", "person", "9", "update", "birth_date=1 mai")
    assert "birth_date: '1 mai' is no number, and no day like 1990-05-01" in refused.value.stderr
    assert "\tat " not in refused.value.stderr
    told = heard(ads, "person", cin="SH901", family_name_fr="Alaoui")
    assert str(told["record"]["birth_date"]) == "1990-05-01"
    entraide.say("person", "18", "insert", {"cin": "SH902", "family_name_ar": "بنسعيد"})
    heard(ads, "person", cin="SH902")
    answer = java("read", "person")
    assert "بنسعيد" in answer
    # Which number she has is not the region's to know, and its own words do not come back as news.
    assert "SH902" not in answer
