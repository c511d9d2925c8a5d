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
)
