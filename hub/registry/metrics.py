"""What the registry counts."""

from __future__ import annotations

from hub.contracts.certificates import CERTIFICATES
from hub.contracts.measures import COUNTER, HISTOGRAM, WORK_S, Measure

SPECIFICATION: tuple[Measure, ...] = (
    Measure(
        "jisr_registry_requests_total",
        COUNTER,
        ("method", "route", "status"),
        "requests",
        "Requests answered, by route and HTTP status.",
        "409 or 422 on `/subjects/{subject}/versions`: somebody registers a schema that is unsafe or not "
        "compatible. 401: a wrong token. 503: its database does not answer.",
    ),
    Measure(
        "jisr_registry_request_seconds",
        HISTOGRAM,
        ("method", "route"),
        "seconds",
        "Time to answer a request.",
        "Growing: look at its database. Workers and connectors ask once per schema, so they are not slowed.",
        WORK_S,
    ),
    CERTIFICATES,
)
