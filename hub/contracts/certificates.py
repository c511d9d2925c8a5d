"""When certificates end: of the PEM files that a part uses, and those that an operator names."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hub.contracts.measures import GAUGE, Measure

log = logging.getLogger(__name__)

# Files change once in months; a scrape comes every few seconds.
READ_EVERY_S = 60.0

CERTIFICATES = Measure(
    "jisr_certificate_expires_timestamp_seconds",
    GAUGE,
    ("file",),
    "Unix seconds",
    "When the first certificate of a file in use or in JISR_CERTIFICATE_FILES ends; 0: cannot be read.",
    "Near or past: renew it, and restart what serves it. 0: the path is wrong, or its rights are.",
    given=True,
)


class Certificates(Collector):
    """Tells the end of each file's certificates; reads them anew from time to time."""

    def __init__(self, files: Sequence[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._files = tuple(dict.fromkeys(files))  # named twice, told once
        self._clock = clock
        self._read_at = float("-inf")
        self._ends: dict[str, float] = {}

    def collect(self) -> Iterable[Metric]:
        if self._files and self._clock() - self._read_at >= READ_EVERY_S:
            self._ends = {str(path): _end(path) for path in self._files}
            self._read_at = self._clock()
        family = GaugeMetricFamily(CERTIFICATES.name, CERTIFICATES.meaning, labels=CERTIFICATES.labels)
        for name, end in self._ends.items():
            family.add_metric([name], end)
        yield family


def certificate_files(setting: str | None) -> list[Path]:
    """The files of a setting: paths separated by commas."""
    return [Path(part.strip()) for part in (setting or "").split(",") if part.strip()]


def _end(path: Path) -> float:
    # Not needed, and not small, where no file is named.
    from cryptography.x509 import load_pem_x509_certificates

    try:
        found = load_pem_x509_certificates(path.read_bytes())
        return min(one.not_valid_after_utc.timestamp() for one in found)
    except (OSError, ValueError) as error:
        log.warning("%s: no certificate can be read: %s", path, error)
        return 0.0
