"""The tables, as SQLAlchemy sees them. `migrations/` makes them; a test holds both together."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_name)s"}
)


# In percent: an edit whose new row fits beside the old one touches no index and no other page. Edits are of
# anybody among all who are known, so that few come to a page before it is tidied (decision 051).
ROOM_FOR_EDITS = {"fillfactor": 90}


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


record = Table(
    "record",
    metadata,
    Column("id", LargeBinary, primary_key=True, comment="opaque id of the local record's incarnation"),
    Column("agency", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("local_id", Text, nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("entity", LargeBinary, nullable=False, comment="the crosswalk"),
    Column("born", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("linked", LargeBinary),
    Column("asserts", LargeBinary, nullable=False, comment="hub.core.assertions.pack"),
    UniqueConstraint("agency", "record_type", "local_id", "incarnation", name="uq_record_key"),
    Index("ix_record_entity", "entity"),
    comment="one row per life of a local record: what it asserts, and which entity it stands for",
    postgresql_with=ROOM_FOR_EDITS,
)

entity = Table(
    "entity",
    metadata,
    Column("id", LargeBinary, primary_key=True, comment="its founding record's id"),
    Column("record_type", Text, nullable=False),
    Column("version", BigInteger, nullable=False, comment="epoch << 40 | counter"),
    Column("golden", LargeBinary, nullable=False, comment="digest of the golden record last published"),
    Column("held", LargeBinary, nullable=False, comment="MessagePack: agency → what it was last told"),
    Column("consents", LargeBinary, nullable=False, comment="MessagePack: a person's consents"),
    Column("about", LargeBinary, comment="of a consent: the person's entity"),
    comment="one row per entity: its lock, its version, and what each agency was told",
    postgresql_with=ROOM_FOR_EDITS,
)

holding = Table(
    "holding",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, comment="spreads the writers; sum over it"),
    Column("entities", BigInteger, nullable=False),
    comment="how many entities each agency was last told to hold: entity.held counted, kept with it",
)

identity = Table(
    "identity",
    metadata,
    Column("value", LargeBinary, primary_key=True, comment="hash of record type, field and value"),
    Column("records", ARRAY(LargeBinary), nullable=False),
    comment="who shares a strong identifier or a natural key; its row is the lock on that value",
)

record_name = Table(
    "record_name",
    metadata,
    Column("record", LargeBinary, primary_key=True),
    Column("keys", ARRAY(BigInteger), nullable=False),
    Index(
        "ix_record_name_keys",
        "keys",
        postgresql_using="gin",
        # In KiB: what waits to be sorted in, and is looked through by every search meanwhile.
        postgresql_with={"gin_pending_list_limit": 1024},
    ),
    comment="under which keyed hashes a record is found by name: what it asserts, kept with it",
)

reference = Table(
    "reference",
    metadata,
    Column("record", LargeBinary, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("local_id", Text, nullable=False),
    Index("ix_reference_target", "agency", "record_type", "local_id"),
    comment="what a local record refers to, in its agency's terms, known or not yet (R20, R27)",
)

position = Table(
    "position",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("topic_id", Text, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    comment="how far each lane has come: moves in the transaction of the effects (R25)",
)

publication = Table(
    "publication",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("worker", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False, comment="MessagePack: what a committed batch changed"),
    _now("created_at"),
    comment="committed and perhaps not yet published (R26)",
)

due = Table(
    "due",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("entity", LargeBinary, nullable=False),
    Column("day", Integer, nullable=False, comment="days since 1970-01-01; 0: at once"),
    # Not unique: who adds a row must not wait for who takes one.
    Index("ix_due_day_entity", "day", "entity"),
    Index("ix_due_day_id", "day", "id"),
    comment="entities to settle again: something they depend on changed, or a day comes (R17, R20)",
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("kafka_offset", BigInteger, nullable=False),
    Column("agency", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("state", Text, nullable=False, server_default="open", comment="open, redriven or discarded"),
    _now("created_at"),
    Column("redrives", Integer, nullable=False, server_default="0", comment="how often it was redriven"),
    Column("outcome", Text, comment="of the last redrive: applied, superseded, held or dead"),
    Column("who", Text, comment="who redrove it last, or discarded it"),
    Column("why", Text),
    Column("decided_at", DateTime(timezone=True)),
    # The append time, too: a topic that was made anew has other messages at the same places.
    UniqueConstraint("topic", "partition", "kafka_offset", "at_ms", name="uq_dead_letter_place"),
    CheckConstraint(
        "state <> 'discarded' OR (coalesce(who, '') <> '' AND coalesce(why, '') <> '')",
        name="ck_dead_letter_discarded",
    ),
    # Alike by alike, each in the order of time: counted, and read page by page, without the rest.
    Index("ix_dead_letter_alike", "state", "agency", "record_type", "code", "at_ms", "id"),
    comment="messages that could not be used, whole, and what a person made of them (R27)",
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _now("at"),
    Column("who", Text, nullable=False, comment="as the person says"),
    Column("account", Text, nullable=False, comment="as the machine says: user@host"),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="what it was done to, without an identifier"),
    Column("agency", Text),
    Column("record_type", Text),
    Column("purpose", Text, nullable=False),
    Column("detail", Text, nullable=False, server_default="", comment="what came of it"),
    # By whatever it is searched, the newest are found without reading the rest.
    Index("ix_audit_at", "at", "id"),
    Index("ix_audit_who", "who", "at", "id"),
    Index("ix_audit_account", "account", "at", "id"),
    Index("ix_audit_action", "action", "at", "id"),
    Index("ix_audit_subject", "subject", "at", "id"),
    Index("ix_audit_agency", "agency", "at", "id"),
    Index("ix_audit_agency_action", "agency", "action", "at", "id"),
    comment="who saw or decided what, and for which purpose; only ever added to",
)

console_session = Table(
    "console_session",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("mark", LargeBinary, nullable=False, comment="SHA-256 of the cookie's own number"),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("agency", Text),
    _now("begun_at"),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Index("ux_console_session_mark", "mark", unique=True),
    Index("ix_console_session_until", "until"),
    comment="people in the console: a session that is not here, or has ended, lets nobody in",
)

console_token = Table(
    "console_token",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("mark", LargeBinary, nullable=False, comment="SHA-256 of the token"),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("agency", Text),
    Column("made_by", Text, nullable=False),
    _now("made_at"),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Index("ux_console_token_mark", "mark", unique=True),
    comment="tokens of programs for the console's API",
)

hold = Table(
    "hold",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("record", LargeBinary, nullable=False),
    Column("agency", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fields", ARRAY(Text), nullable=False),
    Column("change", LargeBinary, nullable=False, comment="MessagePack: the whole change"),
    Column("state", Text, nullable=False, server_default="held"),
    _now("created_at"),
    Column("who", Text),
    Column("why", Text),
    Column("decided_at", DateTime(timezone=True)),
    UniqueConstraint("record", "event_id", "reason", name="uq_hold_event"),
    Index(
        "ix_hold_held",
        "agency",
        "id",
        postgresql_include=["record_type"],
        postgresql_where=text("state = 'held'"),
    ),
    comment="changes that wait for a person's word (R13, R14)",
)

brake_count = Table(
    "brake_count",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("minute", Integer, primary_key=True, comment="of the append time, since 1970-01-01"),
    Column("slot", Integer, primary_key=True, comment="spreads the writers; sum over it"),
    Column("changes", BigInteger, nullable=False),
    comment="how many changes of a kind came within each of the last minutes (R32)",
)

brake = Table(
    "brake",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("agency", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="mass_delete or mass_update"),
    Column("state", Text, nullable=False, server_default="held"),
    Column("live", BigInteger, nullable=False, comment="the agency's live records then"),
    Column("allowed", BigInteger, nullable=False, comment="the limit then"),
    _now("opened_at"),
    _now("last_at"),
    Column("who", Text),
    Column("why", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("pass_until_ms", BigInteger, comment="released: until when more of it passes"),
    Index(
        "uq_brake_held",
        "agency",
        "record_type",
        "kind",
        unique=True,
        postgresql_where=text("state = 'held'"),
    ),
    comment="masses of changes that wait for a person's word (R32)",
)

braked = Table(
    "braked",
    metadata,
    Column("record", LargeBinary, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("brake", BigInteger, nullable=False),
    Column("change", LargeBinary, nullable=False, comment="MessagePack: the whole change"),
    Column("done", Boolean, nullable=False, server_default=false()),
    Index("ix_braked_brake", "brake", "done"),
    comment="the changes that a brake holds or held",
)

history = Table(
    "history",
    metadata,
    Column("record", LargeBinary, primary_key=True),
    Column("mark", LargeBinary, primary_key=True, comment="hash of `said`: kept once"),
    Column("said", LargeBinary, nullable=False, comment="MessagePack: assertions"),
    _now("kept_at"),
    Index("ix_history_kept_at", "kept_at"),
    comment="assertions beside which others of the same record and field stand",
)

review = Table(
    "review",
    metadata,
    Column("a", LargeBinary, primary_key=True),
    Column("b", LargeBinary, primary_key=True),
    Column("record_type", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fields", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    _now("created_at"),
    Index("ix_review_open", "created_at", "a", "b", postgresql_where=text("state = 'open'")),
    Index("ix_review_b", "b"),
    comment="pairs of records that must not be linked without a person (R16)",
)

decision = Table(
    "decision",
    metadata,
    Column("a", LargeBinary, primary_key=True),
    Column("b", LargeBinary, primary_key=True),
    Column("same", Boolean, nullable=False),
    Column("stamp", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    _now("created_at"),
    Index("ix_decision_b", "b"),
    comment="a steward's word on two records",
)

dispute = Table(
    "dispute",
    metadata,
    Column("record", LargeBinary, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    _now("created_at"),
    comment="fields that the hub stopped rewriting at one record (R19)",
)

receipt = Table(
    "receipt",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("committed_ms", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="0", comment="of a changes topic: said whole in"),
    Column("set_back_ms", BigInteger, nullable=False, server_default="0"),
    comment="how far each agency's side has come with each inbox partition (R29)",
)

undelivered = Table(
    "undelivered",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("entity", LargeBinary, primary_key=True),
    Column("record_type", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False, comment="refused or waiting"),
    Column("code", Text, nullable=False),
    Column("column_name", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Index("ix_undelivered_since", "agency", "since_ms", "entity"),
    Index("ix_undelivered_entity", "entity"),
    comment="projections that an agency's side could not apply yet (R28, R29)",
)

farewell = Table(
    "farewell",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("entity", LargeBinary, primary_key=True),
    Column("record_type", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("kafka_offset", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    comment="retractions on their way: a tombstone follows once the agency has acknowledged them (R29)",
)

reprojection = Table(
    "reprojection",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("record_type", Text, nullable=False),
    Column("why", Text, nullable=False, comment="agreement, joining or rebuilt"),
    Column("agencies", ARRAY(Text), nullable=False, comment="who joined"),
    Column("agreed", Text, comment="JSON: what differs in what was agreed on"),
    Column("entities", BigInteger, nullable=False),
    Column("last_due", BigInteger, nullable=False, comment="up to which row of due it waits"),
    Column("rounds", SmallInteger, nullable=False, server_default="0"),
    _now("began_at"),
    Column("ended_at", DateTime(timezone=True)),
    Index("ix_reprojection_open", "record_type", postgresql_where=text("ended_at IS NULL")),
    comment="record types that are, or were, settled again as a whole (R17)",
)

disclosure = Table(
    "disclosure",
    metadata,
    Column("reprojection", BigInteger, primary_key=True, comment="0: outside of any"),
    Column("day", Integer, primary_key=True, comment="days since 1970-01-01"),
    Column("cause", Text, primary_key=True),
    Column("agency", Text, primary_key=True),
    Column("record_type", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("slot", Integer, primary_key=True, comment="spreads the writers; sum over it"),
    Column("told", BigInteger, nullable=False),
    Column("taken_back", BigInteger, nullable=False),
    comment="of how many entities each agency was told what, or had it taken back, and why (R17)",
)

topic_sweep = Table(
    "topic_sweep",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("swept_ms", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("findings", BigInteger, nullable=False),
    comment="when each topic was last compared with the store, and how many keys differed (R26)",
)

setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="the store's own facts: epoch, the agreements last applied",
)
