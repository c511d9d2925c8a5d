"""What is measured: the form of the tables, counting by batches, bounded labels, the cost of a scrape."""

from __future__ import annotations

import datetime
import multiprocessing
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from support.changes import key, said

from connectors.metrics import Metrics as ConnectorMetrics
from connectors.sdk import Delivery
from connectors.sql.postgresql_errors import _REFUSED
from connectors.sql.retries import _DELAYS_MS
from hub.contracts.agreements import load_agreements
from hub.contracts.certificates import Certificates
from hub.contracts.kafka_connection import KafkaConnection
from hub.contracts.measures import COUNTER, DELAYS_S, HISTOGRAM, OTHER, bounded, observe_all
from hub.contracts.records import Catalogue
from hub.core import stamps
from hub.core.answers import ECHO, NO_AUTHORITY, NOT_PERMITTED, OLDER, OUTRANKED, STALE_FORM
from hub.core.assertions import Change
from hub.lanes.converged import Converged
from hub.lanes.reading import DeadLetter, Message, Read
from hub.local.metrics_command import PARTS
from hub.ops.counting import SCHEMA_CODES, Counting
from hub.ops.gathering import DELIVERY, INTAKE, RECEIPTS, Behind, Gatherer, Offsets, StoreLook
from hub.ops.gauges import Gauges, LaneState
from hub.ops.metrics import SPECIFICATION
from hub.ops.parts import MOROCCO
from hub.ops.remedies import REMEDIES
from hub.ops.store_gauges import PUT_OFF_CODES, Held, StoreGauges
from hub.store.engine import HubStore
from hub.store.topic_sweeps import Swept

ROOT = Path(__file__).parents[2]
CATALOGUE = Catalogue.load(ROOT / "schemas" / "records")
AGREEMENTS = load_agreements(ROOT / "deploy" / "agreements", CATALOGUE)
NOW = 1_800_000_000.0


def samples(collector: Any) -> dict[str, float]:
    """`name{labels}` → value."""
    return {
        f"{one.name}{{{','.join(f'{k}={v}' for k, v in sorted(one.labels.items()))}}}": one.value
        for family in text_string_to_metric_families(generate_latest(collector).decode())
        for one in family.samples
    }


def test_names_say_what_unit_they_have_and_counters_end_in_total() -> None:
    for table, _ in PARTS.values():
        for one in table:
            assert re.fullmatch(r"jisr_[a-z]+(_[a-z]+)*", one.name)
            assert one.name.endswith("_total") == (one.kind == COUNTER), one.name
            assert ("seconds" in one.unit) == ("_seconds" in one.name), one.name
            assert bool(one.buckets) == (one.kind == HISTOGRAM), one.name
            assert one.meaning.endswith(".")
            assert one.remedy.endswith((".", "?")), one.name


def test_the_objective_and_the_longest_live_delay_are_bounds_of_buckets() -> None:
    assert {5.0, 600.0} <= set(DELAYS_S)


@pytest.mark.parametrize("values", [[], [0.0], [0.1, 0.1, 0.11, 700.0], [5.0, 600.0, 0.05]])
def test_a_batch_is_observed_as_if_one_by_one(values: list[float]) -> None:
    two = [Histogram("h", "h", registry=CollectorRegistry(), buckets=DELAYS_S) for _ in range(2)]
    observe_all(two[0], values)
    for value in values:
        two[1].observe(value)
    first, second = ([one.value for family in it.collect() for one in family.samples[:-1]] for it in two)
    assert first[:-1] == second[:-1]
    assert first[-1] == pytest.approx(second[-1])


# A hub worker


def message(agency: str, at_s: float, record_type: str = "person") -> Message:
    return Message(f"{agency}.{record_type}.changes", 0, 1, int(at_s * 1000), b"k", b"v")


def change_at(at_s: float, operation: str, agency: str = "ads", kind: str = "person") -> Change:
    change = said(key(agency, "1", kind), 0, operation)
    change.stamp = stamps.at(int(at_s * 1000))
    return change


def test_delays_and_skew_are_those_of_edits_and_not_of_snapshots() -> None:
    counting = Counting(clock=lambda: NOW)
    read = Read()
    for operation, at_s in (("update", NOW - 2), ("insert", NOW + 30), ("snapshot", 1)):
        read.changes.append((change_at(at_s, operation), message("ads", NOW - 1)))
    counting.converged(read, [one for _, one in read.changes], Converged(), 0.01)
    found = samples(counting.measures.registry)
    assert found["jisr_change_delay_seconds_count{agency=ads}"] == 2
    assert found["jisr_change_delay_seconds_bucket{agency=ads,le=2.0}"] == 2
    assert found["jisr_clock_skew_seconds{agency=ads}"] == 31
    assert found["jisr_changes_total{agency=ads,record_type=person}"] == 3
    assert found["jisr_intake_batch_changes_bucket{le=5.0}"] == 1


def test_dead_letters_are_counted_by_code_and_those_of_schemas_again() -> None:
    counting = Counting()
    codes = ("undecodable", "invalid_value", "undecodable", "a word from outside")
    done = Converged(dead=[DeadLetter(message("ads", NOW), code, "", "") for code in codes])
    counting.converged(Read(), [], done, 0.01)
    found = samples(counting.measures.registry)
    place = "agency=ads,code={},record_type=person"
    assert found[f"jisr_dead_letters_total{{{place.format('undecodable')}}}"] == 2
    assert found[f"jisr_dead_letters_total{{{place.format(OTHER)}}}"] == 1
    assert found[f"jisr_schema_rejections_total{{{place.format('undecodable')}}}"] == 2
    assert f"jisr_schema_rejections_total{{{place.format('invalid_value')}}}" not in found


def gatherer() -> Gatherer:
    store = HubStore("postgresql+psycopg://nobody@127.0.0.1:1/none")
    return Gatherer(KafkaConnection("127.0.0.1:1"), store, AGREEMENTS, None, lambda _: None)  # type: ignore[arg-type]


def gathered() -> Gatherer:
    """What a look at a busy hub may find: something of everything, everywhere."""
    made = gatherer()
    lanes = {lane_side: Behind(3, int(NOW * 1000) - 60_000) for lane_side in made.topics.values()}
    made.gathered.offsets = Offsets(lanes, 0)
    one = Held(3, int(NOW * 1000) - 5_000)
    numbers = dict.fromkeys(made.sides, 7)
    states = [("refused", c) for c in (*PUT_OFF_CODES, OTHER)] + [
        ("waiting", c) for c in (*_DELAYS_MS, OTHER)
    ]
    made.gathered.store = StoreLook(
        StoreGauges(
            entitled=numbers,
            undelivered={(*side, *state): one for side in made.sides for state in states},
            dead=numbers,
            held=dict.fromkeys(made.sides, one),
            brakes=frozenset((*side, kind) for side in made.sides for kind in ("mass_delete", "mass_update")),
            reviews={kind: one for _, kind in made.sides},
            disputed=numbers,
            due=4,
            unpublished=one,
            sweeps=dict.fromkeys(made.topics, Swept(int(NOW * 1000), 1)),
        ),
        frozenset({"ads"}),
    )
    made.gathered.references = numbers
    made.gathered.at = {"offsets": NOW, "store": NOW, "references": NOW}
    return made


def gauges(made: Gatherer, clock: float = NOW) -> Gauges:
    lanes = [LaneState("intake", True, 0.0), LaneState("receipts", False, 0.0)]
    return Gauges(made, AGREEMENTS, lambda: lanes, lambda: clock)


def test_what_is_gathered_ages_until_it_is_gathered_again() -> None:
    made = gathered()
    found, later = samples(gauges(made)), samples(gauges(made, NOW + 10))
    lag = "jisr_lag_seconds{agency=ads,lane=delivery,record_type=person}"
    assert (found[lag], later[lag]) == (60, 70)
    assert found["jisr_convergence_age_seconds{agency=ads}"] == 60
    assert found["jisr_open_reviews{record_type=person}"] == 3
    assert found["jisr_joining{agency=ads}"] == 1
    assert found["jisr_joining{agency=health}"] == 0
    assert found["jisr_lane_ready{lane=receipts}"] == 0


def test_what_is_not_gathered_is_not_told() -> None:
    found = samples(gauges(gatherer()))
    assert not [name for name in found if name.startswith(("jisr_lag", "jisr_open", "jisr_waiting"))]
    assert found["jisr_lane_ready{lane=intake}"] == 1


def test_a_side_without_anything_pending_has_no_age_of_its_own() -> None:
    made = gathered()
    assert made.gathered.offsets is not None
    behind = dict.fromkeys(made.gathered.offsets.behind)
    made.gathered.offsets = Offsets({**behind, (RECEIPTS, "ads", ""): Behind(1, 0)}, 0)
    found = samples(gauges(made))
    assert {found[name] for name in found if name.startswith("jisr_convergence_age")} == {0}
    assert {lane for lane, _, _ in behind} == {INTAKE, DELIVERY, RECEIPTS}


def test_agreements_and_grants_tell_when_they_end() -> None:
    found = samples(gauges(gatherer()))
    end = datetime.datetime(2031, 1, 1, tzinfo=MOROCCO)
    assert found["jisr_agreement_expires_timestamp_seconds{agency=ads}"] == end.timestamp()
    assert "jisr_grant_expires_timestamp_seconds{agency=ads,record_type=person}" in found
    assert "jisr_grant_expires_timestamp_seconds{agency=ads,record_type=centre}" not in found


def test_what_collectors_tell_is_what_the_specification_says() -> None:
    counting = Counting()
    counting.measures.counted.register(gauges(gathered()))
    counting.measures.counted.register(Certificates([]))
    told = {family.name for family in counting.measures.counted.collect()}
    wanted = {one.name.removesuffix("_total") for one in SPECIFICATION}
    assert {name for name in told if name.startswith("jisr_")} == wanted


# Bounds


def test_codes_that_become_labels_are_in_the_lists_that_bound_them() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "connectors" / "sql").glob("*.py"))
    put_off = set(re.findall(r'(?:Unmappable|Refusal)\(\s*"(\w+)"|later\(\w+, "(\w+)"', code))
    assert {
        *_REFUSED.values(),
        *_DELAYS_MS,
        *(word for pair in put_off for word in pair if word),
    } <= PUT_OFF_CODES
    assert "unknown_code" in {word for pair in put_off for word in pair}
    assert REMEDIES.keys() >= SCHEMA_CODES
    assert bounded("x" * 500, PUT_OFF_CODES) == OTHER


def test_a_scrape_of_a_worker_that_has_met_everything_stays_small() -> None:
    """Bounds of series and bytes: what they are in docs/performance.md is measured here."""
    counting = Counting()
    counting.measures.counted.register(gauges(gathered()))
    sides = gathered().sides
    for agency, kind in sides:
        done = Converged(
            dead=[DeadLetter(message(agency, NOW, kind), code, "", "") for code in (*REMEDIES, "?")],
            echoes=Counter({(agency, kind): 3}),
        )
        change = change_at(NOW, "insert", agency, kind)
        counting.converged(
            Read([(change, message(agency, NOW, kind))]), [message(agency, NOW, kind)], done, 1
        )
        for reason in (NO_AUTHORITY, OUTRANKED, OLDER, NOT_PERMITTED, STALE_FORM, ECHO, "immutable", "max"):
            counting.measures.counter("jisr_answers_total").labels(agency, kind, reason).inc()
        counting.acknowledged(agency, kind, 1)
    body = generate_latest(counting.measures.registry)
    told = [line for line in body.splitlines() if line.startswith(b"jisr_echoes_total{")]
    assert [line.endswith(b" 3.0") for line in told] == [True] * len(sides)
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    # So many for each agency with a record type, and a constant for the process.
    assert series <= 70 * len(sides) + 120, series
    assert len(body) <= 130 * series, len(body)


# A connector


def delivery(edited_s: float, appended_s: float) -> Delivery:
    return Delivery(
        "person", "e", 1, "upsert", stamp=stamps.at(int(edited_s * 1000)), appended_ms=int(appended_s * 1000)
    )


def test_a_connectors_samples_carry_its_agency() -> None:
    metrics = ConnectorMetrics("ads")
    metrics.up.labels("sink").set(1)
    assert samples(metrics.registry)["jisr_connector_up{agency=ads,side=sink}"] == 1


def test_convergence_counts_from_the_edit_and_leaves_out_what_says_old_things_again() -> None:
    metrics = ConnectorMetrics("ads", clock=lambda: NOW)
    metrics.applied(
        [delivery(NOW - 3, NOW - 1), delivery(NOW - 5_000, NOW - 1), delivery(NOW - 90, NOW - 80)]
    )
    metrics.applied([])
    found = samples(metrics.registry)
    assert found["jisr_connector_delivery_lag_seconds_count{agency=ads}"] == 3
    assert found["jisr_connector_convergence_seconds_count{agency=ads}"] == 2
    assert found["jisr_connector_convergence_seconds_bucket{agency=ads,le=5.0}"] == 1
    assert found["jisr_connector_batch_deliveries_count{agency=ads}"] == 1


# Certificates


def certificate(days: int) -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    begins = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 — the builder compares without a zone
    built = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number(), begins)
    signed = built.not_valid_after(begins + datetime.timedelta(days=days)).sign(private, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def test_the_first_certificate_of_a_file_that_ends_is_told(tmp_path: Path) -> None:
    chain, broken = tmp_path / "chain.pem", tmp_path / "broken.pem"
    chain.write_bytes(certificate(900) + certificate(90))
    broken.write_text("nothing of the kind")
    clock = iter([0.0, 0.0, 30.0, 90.0, 90.0])
    collector = Certificates([chain, broken, tmp_path / "none.pem"], lambda: next(clock))

    def told() -> dict[str, float]:
        (family,) = collector.collect()
        return {Path(one.labels["file"]).name: one.value for one in family.samples}

    end = datetime.datetime(2026, 4, 1, tzinfo=datetime.UTC).timestamp()
    assert told() == {"chain.pem": end, "broken.pem": 0.0, "none.pem": 0.0}
    chain.write_bytes(certificate(900))
    assert told()["chain.pem"] == end
    assert told()["chain.pem"] > end


# Several processes


def _count_in_a_process(number: int) -> None:
    counting = Counting(clock=lambda: NOW)
    change = change_at(NOW - number, "update")
    counting.converged(
        Read([(change, message("ads", NOW))] * number), [message("ads", NOW)] * number, Converged(), 1
    )


def test_processes_that_share_files_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A fresh interpreter each: prometheus-client chooses its kind of values when it is imported.
    context = multiprocessing.get_context("spawn")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    processes = [context.Process(target=_count_in_a_process, args=(number,)) for number in (2, 3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    found = samples(registry)
    assert found["jisr_changes_total{agency=ads,record_type=person}"] == 5
    assert found["jisr_change_delay_seconds_count{agency=ads}"] == 5
    assert found["jisr_change_delay_seconds_bucket{agency=ads,le=2.0}"] == 2


def test_moments_ages_and_states_are_never_added_up() -> None:
    measures = {one.name: one for table, _ in PARTS.values() for one in table}
    across = {name: one.across for name, one in measures.items()}
    assert across["jisr_clock_skew_seconds"] == across["jisr_delivered_timestamp_seconds"] == "greatest"
    assert across["jisr_lane_ready"] == "least"
    assert {one.across for one in measures.values() if one.kind in (COUNTER, HISTOGRAM)} == {"sum"}
    assert "sum" not in {one.across for one in measures.values() if one.kind not in (COUNTER, HISTOGRAM)}
    assert "| `jisr_lane_ready` | gauge | least |" in (ROOT / "docs/metrics.md").read_text()
