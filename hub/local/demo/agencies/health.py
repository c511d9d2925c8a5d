"""How the health services write their records: see `health.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, day, listed, plain

SEXES = {"female": 2, "male": 1}
DISABILITIES = {
    "none": 0,
    "motor": 1,
    "visual": 2,
    "hearing": 3,
    "intellectual": 4,
    "psychosocial": 5,
    "multiple": 6,
}

SERVICE_SECTORS = {
    "health": 0,
    "social": 1,
    "education": 2,
    "training": 3,
    "employment": 4,
    "legal": 5,
    "civil_status": 6,
    "housing": 7,
    "financing": 8,
}
SERVICE_STATUSES = {
    "open": 0,
    "suspended": 1,
    "closed": 2,
}

REFERRAL_REASONS = {
    "health_care": 0,
    "psychological_support": 1,
    "violence": 2,
    "child_protection": 3,
    "disability": 4,
    "legal_aid": 5,
    "civil_papers": 6,
    "housing": 7,
    "schooling": 8,
    "training": 9,
    "employment": 10,
    "financing": 11,
}
REFERRAL_URGENCIES = {
    "normal": 0,
    "urgent": 1,
    "immediate": 2,
}
REFERRAL_STATES = {
    "proposed": 0,
    "sent": 1,
    "accepted": 2,
    "declined": 3,
    "under_way": 4,
    "completed": 5,
    "withdrawn": 6,
}

TABLES = (
    Table(
        record_type="person",
        name="patient",
        key="patient_id",
        new_key="gen_random_uuid()",
        columns=(
            plain("national_id", "cin"),
            plain("student_code", "massar_code"),
            plain("surname", "family_name_fr"),
            plain("first_name", "given_name_fr"),
            plain("surname_ar", "family_name_ar"),
            plain("first_name_ar", "given_name_ar"),
            day("birth_year", "birth_date", "%Y"),
            day("birth_month", "birth_date", "%m"),
            day("birth_day", "birth_date", "%d"),
            coded("gender", "sex", SEXES),
            coded("disability_code", "disability", DISABILITIES),
        ),
        modified_at="updated_at",
    ),
    Table(
        record_type="service",
        name="health_service",
        key="service_id",
        new_key="gen_random_uuid()",
        columns=(
            plain("code", "code"),
            plain("name", "name_fr"),
            plain("name_ar", "name_ar"),
            coded("sector_code", "sector", SERVICE_SECTORS),
            listed("audience", "audience"),
            plain("commune_code", "commune"),
            plain("phone", "phone"),
            coded("status_code", "status", SERVICE_STATUSES),
        ),
        modified_at="updated_at",
    ),
    Table(
        record_type="referral",
        name="incoming_referral",
        key="referral_id",
        new_key="gen_random_uuid()",
        columns=(
            plain("slip_number", "number"),
            coded("reason_code", "reason", REFERRAL_REASONS),
            coded("urgency_code", "urgency", REFERRAL_URGENCIES),
            coded("state_code", "state", REFERRAL_STATES),
            plain("issued_on", "issued_on"),
            plain("answered_on", "answered_on"),
            plain("closed_on", "closed_on"),
        ),
        references={"person": "patient_id", "to_service": "service_id"},
        targets={"to_service": "service"},
        modified_at="updated_at",
    ),
)
