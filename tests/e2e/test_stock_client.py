"""Two agencies that use Confluent's own client and nothing of ours (docs/examples/stock_client.py), against a
hub of two workers, one of which is killed."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hub.local.stack import PROJECT, Stack, StackOptions


@pytest.fixture(scope="module")
def hub() -> Iterator[Stack]:
    """No connectors: the agencies speak for themselves."""
    home = Path(tempfile.mkdtemp(prefix="jisr-stock-"))
    try:
        with Stack(StackOptions(home=home, processes="full", hub_workers=2)) as running:
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
    types = {"entraide": ["person", "centre", "enrolment", "consent"]}
    for agency in both:
        agency.join(types["entraide"])
    yield both
    for agency in both:
        agency.close()


def heard(agency: Any, record_type: str, **expected: Any) -> dict[str, Any]:
    """The first projection that shows these values; reads on until it comes."""
    for _ in range(12):
        for projection in agency.read([record_type], idle_s=5):
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
