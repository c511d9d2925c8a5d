"""The drawing of a benchmark: an SVG that can be read, with every figure that has a unit."""

from __future__ import annotations

from xml.etree import ElementTree

from hub.local.bench.plot import draw

FOUND = {
    "floors": {"kafka_messages_per_s": 9500, "upsert_rows_per_s": 31200},
    "end_to_end_2": {
        "targets": 2,
        "changes_per_s": 1007,
        "cpu_us_per_delivery": {"hub-0": 242, "kafka & co": 65},
        "memory_mb": {"hub-0": 218.5},
    },
    "latency": {"at_200_per_s": {"edits": 4000, "p50_ms": 138.0, "p99_ms": 250.0}},
    "growth": {"1000": {"edit_cpu_us": {"hub-0": 300}, "edit_ratio": 1.0}},
    "failover": {"hub-0": {"seconds": 2.5, "longest_delay_s": 3.1}},
}


def test_every_measure_with_a_unit_is_drawn_as_a_bar_with_its_value() -> None:
    root = ElementTree.fromstring(draw(FOUND))
    said = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    for value in ("9,500", "1,007", "242", "65", "218.5", "138", "250", "300", "2.5", "3.1"):
        assert value in said, value
    assert "4,000" not in said
    assert "cpu_us_per_delivery · kafka & co" in said
    assert "floors: per second" in said


def test_nothing_measured_is_an_empty_drawing() -> None:
    assert len(ElementTree.fromstring(draw({}))) == 1
