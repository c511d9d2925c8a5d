"""Metrics as a specification: everything that a hub worker tells, in one table.

What is `given` comes from the store, Kafka and the agreements ([`hub.ops.gauges`]), the same at every worker.
The rest each worker tells of its own work ([`hub.ops.counting`]). How the values of several are put together,
each measure says (`across`).
"""

from __future__ import annotations

from functools import partial

from hub.contracts.certificates import CERTIFICATES
from hub.contracts.measures import COUNTER, DELAYS_S, GAUGE, HISTOGRAM, SIZES, WORK_S, Measure

_SIDE = ("agency", "record_type")
_given = partial(Measure, given=True)

COUNTED: tuple[Measure, ...] = (
    Measure(
        "jisr_changes_total",
        COUNTER,
        _SIDE,
        "changes",
        "Changes read from agencies and committed.",
        "Standing still while an agency works: is its connector running, and does it have a backlog?",
    ),
    Measure(
        "jisr_change_delay_seconds",
        HISTOGRAM,
        ("agency",),
        "seconds",
        "From the commit of an edit at its agency to its commit in the hub, by the agency's own clock; "
        "snapshots are not counted.",
        "Above a second: look at `jisr_lag_seconds` and the agency's backlog. Above 600: the agency's "
        "connector was away, and such edits count as late.",
        DELAYS_S,
    ),
    Measure(
        "jisr_clock_skew_seconds",
        GAUGE,
        ("agency",),
        "seconds",
        "How far the stamps of an agency's last edits were ahead of the broker's clock; what is negative "
        "is only their delay.",
        "Above a few seconds: set the clock of the agency's database server. From 300 on the hub holds "
        "stamps back (R10).",
    ),
    Measure(
        "jisr_published_total",
        COUNTER,
        ("topic",),
        "messages",
        "Messages published and acknowledged by the broker.",
        "Standing still while changes rise: look at the worker's log for Kafka.",
    ),
    Measure(
        "jisr_dead_letters_total",
        COUNTER,
        (*_SIDE, "code"),
        "messages",
        "Messages that could not be used.",
        "`jisr dlq list`, then `jisr dlq show` says what is wrong, where, and how to mend it.",
    ),
    Measure(
        "jisr_schema_rejections_total",
        COUNTER,
        (*_SIDE, "code"),
        "messages",
        "Of the dead letters, those whose schema was at fault: unknown, unsafe, wrong, or not matching "
        "their bytes.",
        "The agency's client writes by a schema that is not the release's: `jisr dlq show` names it.",
    ),
    Measure(
        "jisr_answers_total",
        COUNTER,
        (*_SIDE, "reason"),
        "fields",
        "Fields of edits that were refused: they lost, and were answered.",
        "Many `no_authority` from one agency: its staff edit what another decides.",
    ),
    Measure(
        "jisr_echoes_total",
        COUNTER,
        _SIDE,
        "values",
        "Values that were taken out of an agency's changes, since it only repeated what it had been told; "
        "only where its agreement says `echoes: filtered`.",
        "Rising with every change is what the setting is for. A client that keeps the echo rule itself "
        "needs it no longer.",
    ),
    Measure(
        "jisr_braked_changes_total",
        COUNTER,
        (*_SIDE, "kind"),
        "changes",
        "Changes held because a mass of them came, by kind of mass.",
        "Any: `jisr hold list` shows what is held; a person releases or rejects it.",
    ),
    Measure(
        "jisr_match_links_total",
        COUNTER,
        _SIDE,
        "records",
        "Records of an agency that were found to be somebody whom the hub knew already.",
        "A jump without an import: an identifier is filled with one value for many people. Zero during an "
        "import: its identifiers are in another form.",
    ),
    Measure(
        "jisr_intake_batch_seconds",
        HISTOGRAM,
        (),
        "seconds",
        "Time of one intake transaction.",
        "Growing: look at the store's load and at `jisr_intake_batch_changes`.",
        WORK_S,
    ),
    Measure(
        "jisr_intake_batch_changes",
        HISTOGRAM,
        (),
        "changes",
        "Changes in one intake transaction; 2,000 at most.",
        "Mostly at the limit: the worker is behind; add workers.",
        SIZES,
    ),
    Measure(
        "jisr_delivered_timestamp_seconds",
        GAUGE,
        _SIDE,
        "Unix seconds",
        "When the agency's side last committed what it was told.",
        "Old while changes flow: its connector or database is down.",
    ),
    Measure(
        "jisr_receipts_skipped_total",
        COUNTER,
        ("agency",),
        "receipts",
        "Receipts that could not be used.",
        "The agency's side writes receipts of the wrong form: see the worker's log.",
    ),
    Measure(
        "jisr_gathering_failures_total",
        COUNTER,
        ("part",),
        "times",
        "Times that values could not be gathered from Kafka or the store; they are left out until they can.",
        "Rising: the store or Kafka is away or overloaded; the worker's log says which.",
    ),
)

GIVEN: tuple[Measure, ...] = (
    _given(
        "jisr_lane_ready",
        GAUGE,
        ("lane",),
        "0 or 1",
        "Whether a lane of this worker works (1), or waits for something that is away (0).",
        "0: `/readyz` and the worker's log say what is away. It tries again by itself.",
        gauge_across="least",
    ),
    _given(
        "jisr_lane_idle_seconds",
        GAUGE,
        ("lane",),
        "seconds",
        "How long ago a lane of this worker last came round.",
        "Above 60: it hangs, and `/livez` says so. Restart it.",
    ),
    _given(
        "jisr_gathered_timestamp_seconds",
        GAUGE,
        ("part",),
        "Unix seconds",
        "When this worker last gathered values: from offsets, the store, or the store's references.",
        "Old: see `jisr_gathering_failures_total`.",
    ),
    _given(
        "jisr_lag_seconds",
        GAUGE,
        ("lane", *_SIDE),
        "seconds",
        "Age of the oldest message that is not dealt with. Lane `intake`: an agency's changes that the hub "
        "has not read; `delivery`: what an agency was told and has not acknowledged; `receipts`: its "
        "receipts that the hub has not read (no record type).",
        "`intake`: a worker is away or behind. `delivery`: that agency's connector or database is. "
        "`receipts`: the receipts lane is.",
    ),
    _given(
        "jisr_pending_messages",
        GAUGE,
        ("lane", *_SIDE),
        "messages",
        "How many messages are not dealt with, by the same lanes.",
        "Growing steadily: more comes than is dealt with. Growing at one agency: it is away.",
    ),
    _given(
        "jisr_convergence_age_seconds",
        GAUGE,
        ("agency",),
        "seconds",
        "Age of the oldest change that concerns an agency and has not come through: said by it and not "
        "read, or told to it and not applied. 0: converged.",
        "Above some seconds: that agency is late; `jisr status` tells with which record type.",
    ),
    _given(
        "jisr_entitled_entities",
        GAUGE,
        _SIDE,
        "entities",
        "Entities that an agency was last told to hold.",
        "A sudden fall: an agreement ended or was narrowed, or consents were withdrawn.",
    ),
    _given(
        "jisr_joining",
        GAUGE,
        ("agency",),
        "0 or 1",
        "Whether an agency's snapshot is still awaited (1), so that nothing is created there.",
        "1 for long: its connector has never come to the end of its rows.",
    ),
    _given(
        "jisr_open_dead_letters",
        GAUGE,
        _SIDE,
        "messages",
        "Dead letters on which nobody has decided (counted up to 10,000).",
        "Above 0: `jisr dlq list`; redrive or discard them.",
    ),
    _given(
        "jisr_undelivered_entities",
        GAUGE,
        (*_SIDE, "state", "code"),
        "entities",
        "Entities that an agency's side could not apply: `refused` by its tables, or `waiting` (counted up "
        "to 10,000).",
        "`refused`: mend the agency's mapping or table; `jisr connector status` names the column. "
        "`waiting`: `locked` and `local_edit` pass; `missing_reference` passes when its target comes.",
    ),
    _given(
        "jisr_undelivered_age_seconds",
        GAUGE,
        ("agency", "state"),
        "seconds",
        "Age of the oldest of them.",
        "Hours: nobody is mending it.",
    ),
    _given(
        "jisr_waiting_references",
        GAUGE,
        _SIDE,
        "records",
        "Parked keys: records that refer to something that the hub does not know yet.",
        "Not falling: the agency never sends what is referred to; is it in its mapping and agreement?",
    ),
    _given(
        "jisr_held_changes",
        GAUGE,
        _SIDE,
        "changes",
        "Changes that wait for a person, one by one; masses are told apart (counted up to 10,000).",
        "Above 0: `jisr hold list`.",
    ),
    _given(
        "jisr_open_brakes",
        GAUGE,
        (*_SIDE, "kind"),
        "masses",
        "Masses of changes that a brake holds until a person decides: `mass_delete`, `mass_update` or "
        "`mass_join`.",
        "Any: `jisr hold list` names it; `jisr hold show` tells what it would change.",
    ),
    _given(
        "jisr_held_age_seconds",
        GAUGE,
        ("agency",),
        "seconds",
        "Age of the oldest of them.",
        "Days: nobody decides.",
    ),
    _given(
        "jisr_open_reviews",
        GAUGE,
        ("record_type",),
        "pairs",
        "Pairs of records that may be one, and wait for a person (counted up to 10,000).",
        "Growing: `jisr review list`. A jump after an import: its identifiers or birth dates are wrong.",
    ),
    _given(
        "jisr_review_age_seconds",
        GAUGE,
        ("record_type",),
        "seconds",
        "Age of the oldest of them.",
        "Days: nobody decides, and one person stays two.",
    ),
    _given(
        "jisr_disputed_fields",
        GAUGE,
        _SIDE,
        "fields",
        "Fields that the hub stopped rewriting, because two systems overwrite each other (up to 10,000).",
        "Above 0: `jisr explain` shows who; mend the cause at the agency (R19).",
    ),
    _given(
        "jisr_due_entities",
        GAUGE,
        (),
        "entities",
        "Entities to settle again now, since terms or what they refer to changed (counted up to 10,000).",
        "High for long after a change of terms: they are done between live changes. Else: is a worker up?",
    ),
    _given(
        "jisr_unpublished_entities",
        GAUGE,
        (),
        "entities",
        "Entities of committed transactions that are perhaps not published yet (those of the oldest 20).",
        "Not falling: Kafka does not acknowledge; see the worker's log.",
    ),
    _given(
        "jisr_unpublished_age_seconds",
        GAUGE,
        (),
        "seconds",
        "Age of the oldest of those transactions.",
        "Above 60: as above; a worker that died is replaced within 15 s.",
    ),
    _given(
        "jisr_missing_topics",
        GAUGE,
        (),
        "topics",
        "Topics of changes, inboxes and receipts that this release needs and Kafka does not have.",
        "Above 0: `jisr topics check`, `jisr topics create`.",
    ),
    _given(
        "jisr_topic_sweep_findings",
        GAUGE,
        ("topic",),
        "keys",
        "Keys whose last message is not what the store remembers, as the last sweep of the topic left them.",
        "Above 0: `jisr sweep` names them; with `--repair` what is lost is said again.",
    ),
    _given(
        "jisr_topic_swept_timestamp_seconds",
        GAUGE,
        ("topic",),
        "Unix seconds",
        "When a topic was last compared with the store, or first known.",
        "Days ago: no worker sweeps; see `JISR_SWEEP_EVERY_H` and the workers' logs.",
    ),
    _given(
        "jisr_agreement_expires_timestamp_seconds",
        GAUGE,
        ("agency",),
        "Unix seconds",
        "When an agency's agreement ends: after its last day, in Morocco.",
        "Near: renew it, or everything that the agency holds from the hub is taken back the day after.",
    ),
    _given(
        "jisr_grant_expires_timestamp_seconds",
        GAUGE,
        _SIDE,
        "Unix seconds",
        "When the first part of what an agency may hold of a record type ends, where it ends before the "
        "agreement.",
        "As above, for these fields.",
    ),
    CERTIFICATES,
)

SPECIFICATION: tuple[Measure, ...] = (*COUNTED, *GIVEN)
