"""How the Social Development Agency writes its records: see `ads.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Part, Table, coded, joined, plain

KINDS = {
    "social_centre": "CSJ",
    "womens_club": "CF",
    "multidisciplinary_complex": "CPD",
    "womens_multifunction_space": "EMF",
    "anti_begging_centre": "CPM",
    "child_protection_centre": "CAPE",
    "education_training_centre": "CEF",
    "apprenticeship_centre": "CFA",
    "disability_orientation_centre": "COAPH",
    "elderly_centre": "CAPA",
}
SEXES = {"female": "F", "male": "M"}
EDUCATION_LEVELS = {
    "none": 0,
    "preschool": 1,
    "primary": 2,
    "lower_secondary": 3,
    "upper_secondary": 4,
    "vocational": 5,
    "higher": 6,
}
DISABILITIES = {
    "none": "NON",
    "motor": "MOT",
    "visual": "VIS",
    "hearing": "AUD",
    "intellectual": "INT",
    "psychosocial": "PSY",
    "multiple": "MUL",
}
PATHWAYS = {
    "reception": "ACC",
    "listening": "ECO",
    "diagnosis": "DIAG",
    "orientation": "ORI",
    "training": "FORM",
    "employment": "EMP",
    "entrepreneurship": "ENT",
    "social_support": "SOC",
}
ENROLMENT_STATUSES = {
    "planned": "P",
    "active": "E",
    "suspended": "S",
    "completed": "T",
    "abandoned": "A",
}
PURPOSES = {
    "social-integration": "SOC",
    "professional-integration": "PRO",
    "health-followup": "SAN",
    "statistics": "STA",
}
CONSENT_STATUSES = {"given": "D", "withdrawn": "R"}

TABLES = (
    Table(
        record_type="centre",
        name="centre",
        key="id_centre",
        new_key="nextval(pg_get_serial_sequence('centre', 'id_centre'))",
        columns=(
            plain("code_national", "code"),
            plain("libelle", "name_fr"),
            plain("libelle_ar", "name_ar"),
            coded("type_centre", "kind", KINDS),
            plain("code_commune", "commune"),
            plain("capacite", "capacity"),
            plain("telephone", "phone"),
            plain("date_ouverture", "opened_on"),
        ),
        modified_at="date_maj",
    ),
    Table(
        record_type="person",
        name="beneficiaire",
        key="id_beneficiaire",
        new_key="nextval(pg_get_serial_sequence('beneficiaire', 'id_beneficiaire'))",
        columns=(
            plain("cin", "cin"),
            joined("nom_complet", ("family_name_fr", "given_name_fr"), ", "),
            joined("nom_complet_ar", ("family_name_ar", "given_name_ar"), "، "),
            coded("sexe", "sex", SEXES),
            plain("date_naissance", "birth_date"),
            coded("niveau_etudes", "education_level", EDUCATION_LEVELS),
            coded("handicap", "disability", DISABILITIES),
            plain("langues", "languages"),
            plain("date_accueil", "received_on"),
        ),
        modified_at="date_maj",
        parts=(
            Part(
                name="beneficiaire_contact",
                key="id_beneficiaire",
                columns=(plain("telephone", "phone"), plain("code_commune", "commune")),
            ),
        ),
    ),
    Table(
        record_type="enrolment",
        name="inscription",
        key="id_inscription",
        new_key="nextval(pg_get_serial_sequence('inscription', 'id_inscription'))",
        columns=(
            plain("numero", "number"),
            coded("parcours", "pathway", PATHWAYS),
            coded("statut", "status", ENROLMENT_STATUSES),
            plain("debut", "started_on"),
            plain("fin", "ended_on"),
            plain("modules", "modules"),
        ),
        references={"person": "id_beneficiaire", "centre": "id_centre"},
        modified_at="date_maj",
    ),
    Table(
        record_type="consent",
        name="consentement",
        key="id_consentement",
        new_key="nextval(pg_get_serial_sequence('consentement', 'id_consentement'))",
        columns=(
            coded("finalite", "purpose", PURPOSES),
            plain("destinataires", "recipients"),
            coded("etat", "status", CONSENT_STATUSES),
            plain("donne_le", "given_on"),
            plain("valable_jusqu_au", "valid_until"),
        ),
        references={"person": "id_beneficiaire"},
        modified_at="date_maj",
    ),
)
