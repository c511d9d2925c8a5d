"""The loop around a connector: back-off, health, the end; with sides whose every answer is given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from support import plain_http

from connectors import runner as runner_module
from connectors.metrics import Metrics
from connectors.probe import Probe
from connectors.runner import Runner
from connectors.settings import read_agency_key
from hub.errors import ConfigurationError, Fatal, Retriable


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(runner_module, "LONGEST_WAIT_S", 0.0)


class Scripted:
    """A side that goes through a script: None is a step done, an exception is raised, a callable called."""

    def __init__(self, name: str, script: list[object]) -> None:
        self.name = name
        self._script: Iterator[object] = iter(script)
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def step(self) -> float:
        self.calls.append("step")
        answer = next(self._script, None)
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer()
        return 0.001

    def close(self) -> None:
        self.calls.append("close")


def test_a_side_that_is_away_is_connected_again_and_the_other_goes_on() -> None:
    metrics = Metrics("ads")
    seen_away = []
    done = threading.Event()
    flaky = Scripted("source", [None, Retriable("away"), Retriable("still"), None, lambda: done.set()])
    steady = Scripted("sink", [None] * 1000)
    runner = Runner([flaky, steady], metrics)
    flaky.open = lambda: (seen_away.append(runner.health["source"].away), flaky.calls.append("open"))  # type: ignore[assignment, func-returns-value]
    stopper = threading.Thread(target=lambda: (done.wait(), runner.stop()))
    stopper.start()
    runner.run()
    stopper.join()
    assert flaky.calls[:9] == ["open", "step", "step", "close", "open", "step", "close", "open", "step"]
    assert flaky.calls[-1] == "close"
    assert steady.calls.count("open") == 1
    assert seen_away == ["not connected yet", "away", "still"]
    assert runner.health["source"].away == ""


def test_what_fails_as_soon_as_it_is_open_is_opened_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a right is lacking: each time costs connections to the database and to Kafka."""
    now, waits = [0.0], []
    monkeypatch.setattr(runner_module, "FIRST_WAIT_S", 1.0)
    monkeypatch.setattr(runner_module, "LONGEST_WAIT_S", 4.0)
    monkeypatch.setattr(runner_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Runner, "_wait", lambda _, __, wait_s: waits.append(wait_s))
    at_once: list[object] = [Retriable("no right")] * 4
    after_work: list[object] = [lambda: now.__setitem__(0, 5.0), Retriable("away"), Retriable("still")]
    runner = Runner([Scripted("source", [*at_once, *after_work, lambda: runner.stop()])], Metrics("ads"))
    runner.run()
    assert [wait_s for wait_s in waits if wait_s >= 1] == [1, 2, 4, 4, 1, 2]


@pytest.mark.parametrize("error", [Fatal("a person must act"), RuntimeError("a bug")])
def test_any_other_failure_ends_the_process_with_both_sides(error: Exception) -> None:
    broken, other = Scripted("source", [None, error]), Scripted("sink", [])
    runner = Runner([broken, other], Metrics("ads"))
    with pytest.raises(type(error)):
        runner.run()
    assert broken.calls[-1] == other.calls[-1] == "close"


@pytest.mark.parametrize(("error", "traced"), [(Fatal("the key is wrong"), False), (ValueError("bug"), True)])
def test_what_a_person_must_mend_is_said_in_a_line(
    error: Exception, traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    runner = Runner([Scripted("source", [error])], Metrics("ads"))
    with pytest.raises(type(error)):
        runner.run()
    told = [record for record in caplog.records if "source ended" in record.getMessage()]
    assert [record.exc_info is not None for record in told] == [traced]
    assert traced or told[0].getMessage() == "source ended: the key is wrong"


def test_the_probe_tells_who_is_away() -> None:
    metrics = Metrics("ads")
    runner = Runner([Scripted("source", []), Scripted("sink", [])], metrics)
    probe = Probe("127.0.0.1", 0, metrics.registry, runner.health)
    url = f"http://127.0.0.1:{probe.port}"
    try:
        assert plain_http.get(f"{url}/livez").status_code == 200
        ready = plain_http.get(f"{url}/readyz")
        assert (ready.status_code, ready.json()["sides"]["sink"]) == (503, "not connected yet")
        for health in runner.health.values():
            health.away = ""
        assert plain_http.get(f"{url}/readyz").status_code == 200
        runner.health["sink"].progressed_at -= runner_module.STALLED_AFTER_S + 1
        assert plain_http.get(f"{url}/livez").json()["sides"] == {"sink": "no progress"}
        assert "jisr_connector_backlog_rows" in plain_http.get(f"{url}/metrics").text
        assert plain_http.get(f"{url}/etc/passwd").status_code == 404
        with pytest.raises(ConfigurationError, match=f"JISR_WEB_PORT: 127.0.0.1:{probe.port}: .*in use"):
            Probe("127.0.0.1", probe.port, metrics.registry, runner.health)
    finally:
        probe.close()


def test_a_key_that_keeps_no_secret_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_agency_key(tmp_path / "none")
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="at least 16 random bytes"):
        read_agency_key(tmp_path / "key")
    (tmp_path / "key").write_bytes(b"0123456789abcdef")
    assert read_agency_key(tmp_path / "key") == b"0123456789abcdef"
