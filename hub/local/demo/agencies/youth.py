"""How the youth houses write their members down: see `youth.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, plain

SEXES = {"female": "fille", "male": "garçon"}
EDUCATION_LEVELS = {
    "none": "aucun",
    "preschool": "prescolaire",
    "primary": "primaire",
    "lower_secondary": "college",
    "upper_secondary": "lycee",
    "vocational": "formation",
    "higher": "superieur",
}

TABLES = (
    Table(
        record_type="person",
        name="adherent",
        key="matricule",
        new_key="nextval(pg_get_serial_sequence('adherent', 'matricule'))",
        columns=(
            plain("cin", "cin"),
            plain("nom", "family_name_fr"),
            plain("prenom", "given_name_fr"),
            plain("nom_ar", "family_name_ar"),
            plain("prenom_ar", "given_name_ar"),
            coded("sexe", "sex", SEXES),
            plain("ne_le", "birth_date"),
            plain("gsm", "phone"),
            plain("code_commune", "commune"),
            coded("niveau", "education_level", EDUCATION_LEVELS),
        ),
        modified_at="maj_le",
    ),
)
