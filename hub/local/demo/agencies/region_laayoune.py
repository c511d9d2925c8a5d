"""How the region of Laâyoune–Sakia El Hamra writes its records: see `region-laayoune.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, day, listed, plain

KINDS = {
    "social_centre": 1,
    "womens_club": 2,
    "multidisciplinary_complex": 3,
    "womens_multifunction_space": 4,
    "anti_begging_centre": 5,
    "child_protection_centre": 6,
    "education_training_centre": 7,
    "apprenticeship_centre": 8,
    "disability_orientation_centre": 9,
    "elderly_centre": 10,
}
SEXES = {"female": "F", "male": "H"}
EDUCATION_LEVELS = {
    "none": "aucun",
    "preschool": "prescolaire",
    "primary": "primaire",
    "lower_secondary": "college",
    "upper_secondary": "lycee",
    "vocational": "formation",
    "higher": "superieur",
}

ASSOCIATION_STANDINGS = {
    "declared": 1,
    "public_utility": 2,
    "social_protection": 3,
}
ASSOCIATION_STATUSES = {
    "active": 1,
    "suspended": 2,
    "dissolved": 3,
}
SERVICE_SECTORS = {
    "health": 1,
    "social": 2,
    "education": 3,
    "training": 4,
    "employment": 5,
    "legal": 6,
    "civil_status": 7,
    "housing": 8,
    "financing": 9,
}
SERVICE_STATUSES = {
    "open": 1,
    "suspended": 2,
    "closed": 3,
}

MODULE_KINDS = {
    "certifying": 1,
    "workshop": 2,
}
MODULE_SUBJECTS = {
    "literacy": 1,
    "life_skills": 2,
    "french": 3,
    "digital": 4,
    "financial_education": 5,
    "sewing": 6,
    "weaving": 7,
    "cooking": 8,
    "hairdressing": 9,
    "childcare": 10,
    "elderly_care": 11,
    "fish_processing": 12,
    "business_plan": 13,
    "cooperative_management": 14,
    "job_search": 15,
}
MODULE_CERTIFIERS = {
    "entraide": 1,
    "vocational_training": 2,
    "crafts": 3,
    "education": 4,
}
MODULE_STATUSES = {
    "planned": 1,
    "open": 2,
    "full": 3,
    "closed": 4,
}

PROJECT_KINDS = {
    "self_employment": 1,
    "salaried": 2,
    "cooperative": 3,
    "training": 4,
}
PROJECT_SECTORS = {
    "agriculture": 1,
    "fishing": 2,
    "crafts": 3,
    "trade": 4,
    "tourism": 5,
    "personal_services": 6,
    "building": 7,
    "digital": 8,
}
PROJECT_STATES = {
    "idea": 1,
    "study": 2,
    "submitted": 3,
    "funded": 4,
    "running": 5,
    "abandoned": 6,
}

TABLES = (
    Table(
        record_type="centre",
        name="etablissement",
        key="id",
        new_key=None,
        columns=(
            plain("code", "code"),
            plain("nom", "name_fr"),
            plain("nom_ar", "name_ar"),
            coded("nature", "kind", KINDS),
            plain("code_commune", "commune"),
            plain("places", "capacity"),
            plain("tel", "phone"),
            day("ouvert_le", "opened_on", "%Y-%m-%d"),
        ),
        modified_at="modifie_le",
    ),
    Table(
        record_type="person",
        name="personne",
        key="id",
        new_key=None,
        columns=(
            plain("cin", "cin"),
            plain("nom", "family_name_fr"),
            plain("prenom", "given_name_fr"),
            plain("nom_ar", "family_name_ar"),
            plain("prenom_ar", "given_name_ar"),
            coded("sexe", "sex", SEXES),
            day("ne_le", "birth_date", "%Y-%m-%d"),
            plain("code_commune", "commune"),
            plain("tel", "phone"),
            coded("niveau", "education_level", EDUCATION_LEVELS),
        ),
        modified_at="modifie_le",
    ),
    Table(
        record_type="association",
        name="association",
        key="id",
        new_key=None,
        columns=(
            plain("code", "code"),
            plain("nom", "name_fr"),
            plain("nom_ar", "name_ar"),
            coded("statut", "standing", ASSOCIATION_STANDINGS),
            listed("domaines", "domains"),
            plain("code_commune", "commune"),
            plain("tel", "phone"),
            coded("etat", "status", ASSOCIATION_STATUSES),
            day("convention_au", "partner_until", "%Y-%m-%d"),
        ),
        modified_at="modifie_le",
    ),
    Table(
        record_type="service",
        name="service",
        key="id",
        new_key=None,
        columns=(
            plain("code", "code"),
            plain("nom", "name_fr"),
            plain("nom_ar", "name_ar"),
            coded("secteur", "sector", SERVICE_SECTORS),
            listed("publics", "audience"),
            plain("code_commune", "commune"),
            plain("tel", "phone"),
            coded("etat", "status", SERVICE_STATUSES),
        ),
        references={"centre": "etablissement_id", "association": "association_id"},
        modified_at="modifie_le",
    ),
    Table(
        record_type="module",
        name="module",
        key="id",
        new_key=None,
        columns=(
            plain("code", "code"),
            plain("titre", "title_fr"),
            plain("titre_ar", "title_ar"),
            coded("nature", "kind", MODULE_KINDS),
            coded("matiere", "subject", MODULE_SUBJECTS),
            coded("certificateur", "certified_by", MODULE_CERTIFIERS),
            plain("heures", "hours"),
            plain("places", "places"),
            coded("etat", "status", MODULE_STATUSES),
        ),
        references={"centre": "etablissement_id"},
        modified_at="modifie_le",
    ),
    Table(
        record_type="project",
        name="projet",
        key="id",
        new_key=None,
        columns=(
            plain("numero", "number"),
            plain("titre", "title_fr"),
            plain("titre_ar", "title_ar"),
            coded("nature", "kind", PROJECT_KINDS),
            coded("secteur", "sector", PROJECT_SECTORS),
            coded("etat", "state", PROJECT_STATES),
            plain("demande_dh", "funding_asked"),
            plain("accorde_dh", "funding_granted"),
            day("accorde_le", "granted_on", "%Y-%m-%d"),
            day("demarre_le", "started_on", "%Y-%m-%d"),
        ),
        references={"person": "personne_id", "centre": "etablissement_id"},
        modified_at="modifie_le",
    ),
)
