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
)
