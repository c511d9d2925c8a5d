"""What the Social Development Agency keeps of partners and offers: see `ads.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, plain

ASSOCIATION_STANDINGS = {
    "declared": "DEC",
    "public_utility": "RUP",
    "social_protection": "EPS",
}
ASSOCIATION_STATUSES = {
    "active": "A",
    "suspended": "S",
    "dissolved": "D",
}
SERVICE_SECTORS = {
    "health": "SAN",
    "social": "SOC",
    "education": "EDU",
    "training": "FOR",
    "employment": "EMP",
    "legal": "JUR",
    "civil_status": "ETC",
    "housing": "LOG",
    "financing": "FIN",
}
SERVICE_STATUSES = {
    "open": "O",
    "suspended": "S",
    "closed": "F",
}

MODULE_KINDS = {
    "certifying": "CER",
    "workshop": "ATE",
}
MODULE_SUBJECTS = {
    "literacy": "ALP",
    "life_skills": "CDV",
    "french": "FRA",
    "digital": "NUM",
    "financial_education": "FIN",
    "sewing": "COU",
    "weaving": "TIS",
    "cooking": "CUI",
    "hairdressing": "COI",
    "childcare": "ENF",
    "elderly_care": "AGE",
    "fish_processing": "MER",
    "business_plan": "PLA",
    "cooperative_management": "COO",
    "job_search": "EMP",
}
MODULE_CERTIFIERS = {
    "entraide": "EN",
    "vocational_training": "OFP",
    "crafts": "ART",
    "education": "MEN",
}
MODULE_STATUSES = {
    "planned": "P",
    "open": "O",
    "full": "C",
    "closed": "F",
}

TABLES = (
    Table(
        record_type="association",
        name="association",
        key="id_association",
        new_key="nextval(pg_get_serial_sequence('association', 'id_association'))",
        columns=(
            plain("code_national", "code"),
            plain("libelle", "name_fr"),
            plain("libelle_ar", "name_ar"),
            coded("statut_juridique", "standing", ASSOCIATION_STANDINGS),
            plain("domaines", "domains"),
            plain("code_commune", "commune"),
            plain("telephone", "phone"),
            coded("etat", "status", ASSOCIATION_STATUSES),
            plain("convention_jusqu_au", "partner_until"),
        ),
        modified_at="date_maj",
    ),
    Table(
        record_type="service",
        name="service",
        key="id_service",
        new_key="nextval(pg_get_serial_sequence('service', 'id_service'))",
        columns=(
            plain("code_national", "code"),
            plain("libelle", "name_fr"),
            plain("libelle_ar", "name_ar"),
            coded("secteur", "sector", SERVICE_SECTORS),
            plain("publics", "audience"),
            plain("code_commune", "commune"),
            plain("telephone", "phone"),
            coded("etat", "status", SERVICE_STATUSES),
        ),
        references={"centre": "id_centre", "association": "id_association"},
        modified_at="date_maj",
    ),
    Table(
        record_type="module",
        name="module",
        key="id_module",
        new_key="nextval(pg_get_serial_sequence('module', 'id_module'))",
        columns=(
            plain("code_national", "code"),
            plain("intitule", "title_fr"),
            plain("intitule_ar", "title_ar"),
            coded("nature", "kind", MODULE_KINDS),
            coded("matiere", "subject", MODULE_SUBJECTS),
            coded("certificateur", "certified_by", MODULE_CERTIFIERS),
            plain("heures", "hours"),
            plain("places", "places"),
            coded("etat", "status", MODULE_STATUSES),
        ),
        references={"centre": "id_centre"},
        modified_at="date_maj",
    ),
)
