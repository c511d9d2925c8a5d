"""What the Social Development Agency keeps of its work with people: see `ads.sql`."""

from __future__ import annotations

from hub.local.demo.agencies.tables import Table, coded, plain

REFERRAL_REASONS = {
    "health_care": "SAN",
    "psychological_support": "PSY",
    "violence": "VIO",
    "child_protection": "ENF",
    "disability": "HAN",
    "legal_aid": "JUR",
    "civil_papers": "PAP",
    "housing": "LOG",
    "schooling": "SCO",
    "training": "FOR",
    "employment": "EMP",
    "financing": "FIN",
}
REFERRAL_URGENCIES = {
    "normal": "N",
    "urgent": "U",
    "immediate": "I",
}
REFERRAL_STATES = {
    "proposed": "P",
    "sent": "T",
    "accepted": "A",
    "declined": "R",
    "under_way": "E",
    "completed": "C",
    "withdrawn": "X",
}
ROLES = {
    "social_worker": "ASS",
    "psychologist": "PSY",
    "educator": "EDU",
    "job_counsellor": "CEM",
    "physician": "MED",
    "centre_director": "DIR",
}
LEVELS = {
    "critical": 1,
    "fragile": 2,
    "stable": 3,
    "autonomous": 4,
}

MODULE_RESULT_OUTCOMES = {
    "in_progress": "E",
    "passed": "R",
    "failed": "N",
    "attended": "S",
    "dropped_out": "A",
}

TABLES = (
    Table(
        record_type="referral",
        name="orientation",
        key="id_orientation",
        new_key="nextval(pg_get_serial_sequence('orientation', 'id_orientation'))",
        columns=(
            plain("numero", "number"),
            coded("motif", "reason", REFERRAL_REASONS),
            coded("urgence", "urgency", REFERRAL_URGENCIES),
            coded("etat", "state", REFERRAL_STATES),
            plain("emise_le", "issued_on"),
            plain("repondue_le", "answered_on"),
            plain("close_le", "closed_on"),
        ),
        references={
            "person": "id_beneficiaire",
            "from_centre": "id_centre_origine",
            "to_centre": "id_centre_accueil",
            "to_service": "id_service",
            "to_association": "id_association",
        },
        targets={
            "from_centre": "centre",
            "to_centre": "centre",
            "to_service": "service",
            "to_association": "association",
        },
        modified_at="date_maj",
    ),
    Table(
        record_type="assessment",
        name="evaluation",
        key="id_evaluation",
        new_key="nextval(pg_get_serial_sequence('evaluation', 'id_evaluation'))",
        columns=(
            plain("evalue_le", "assessed_on"),
            coded("fonction", "assessor_role", ROLES),
            coded("niveau_logement", "housing", LEVELS),
            coded("niveau_revenu", "income", LEVELS),
            coded("niveau_scolarite", "education", LEVELS),
            coded("niveau_emploi", "employability", LEVELS),
            coded("niveau_famille", "family", LEVELS),
            coded("niveau_sante", "health", LEVELS),
            plain("vulnerabilites", "vulnerabilities"),
            plain("a_revoir_le", "review_on"),
        ),
        references={"person": "id_beneficiaire", "centre": "id_centre"},
        modified_at="date_maj",
    ),
    Table(
        record_type="module_result",
        name="resultat_module",
        key="id_resultat",
        new_key="nextval(pg_get_serial_sequence('resultat_module', 'id_resultat'))",
        columns=(
            plain("session_du", "session_from"),
            plain("session_au", "session_to"),
            plain("assiduite", "attendance"),
            coded("issue", "outcome", MODULE_RESULT_OUTCOMES),
            plain("numero_certificat", "certificate_number"),
            plain("certifie_le", "certified_on"),
        ),
        references={"person": "id_beneficiaire", "module": "id_module"},
        modified_at="date_maj",
    ),
)
