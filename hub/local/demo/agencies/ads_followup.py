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

PROJECT_KINDS = {
    "self_employment": "IND",
    "salaried": "SAL",
    "cooperative": "COO",
    "training": "FOR",
}
PROJECT_SECTORS = {
    "agriculture": "AGR",
    "fishing": "PEC",
    "crafts": "ART",
    "trade": "COM",
    "tourism": "TOU",
    "personal_services": "SER",
    "building": "BAT",
    "digital": "NUM",
}
PROJECT_STATES = {
    "idea": "I",
    "study": "E",
    "submitted": "D",
    "funded": "F",
    "running": "L",
    "abandoned": "A",
}
SUPPORT_PLAN_STATES = {
    "draft": "P",
    "agreed": "C",
    "under_way": "E",
    "achieved": "A",
    "interrupted": "I",
}
PATHWAY_STEPS = {
    "received": "ACC",
    "listened_to": "ECO",
    "diagnosed": "DIA",
    "oriented": "ORI",
    "integrated": "INS",
    "left": "DEP",
}
PATHWAY_ORIENTATIONS = {
    "schooling": "SCO",
    "training": "FOR",
    "employment": "EMP",
    "entrepreneurship": "ENT",
    "social_support": "SOC",
}
PATHWAY_INTEGRATIONS = {
    "job": "SAL",
    "own_activity": "ACT",
    "cooperative": "COO",
    "school": "ECO",
    "further_training": "FOR",
    "family": "FAM",
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
    Table(
        record_type="project",
        name="projet",
        key="id_projet",
        new_key="nextval(pg_get_serial_sequence('projet', 'id_projet'))",
        columns=(
            plain("numero", "number"),
            plain("intitule", "title_fr"),
            plain("intitule_ar", "title_ar"),
            coded("type_projet", "kind", PROJECT_KINDS),
            coded("secteur", "sector", PROJECT_SECTORS),
            coded("etat", "state", PROJECT_STATES),
            plain("montant_demande", "funding_asked"),
            plain("montant_accorde", "funding_granted"),
            plain("accorde_le", "granted_on"),
            plain("demarre_le", "started_on"),
        ),
        references={"person": "id_beneficiaire", "centre": "id_centre"},
        modified_at="date_maj",
    ),
    Table(
        record_type="support_plan",
        name="plan_accompagnement",
        key="id_plan",
        new_key="nextval(pg_get_serial_sequence('plan_accompagnement', 'id_plan'))",
        columns=(
            plain("objectifs", "goals"),
            coded("fonction", "referent_role", ROLES),
            coded("etat", "state", SUPPORT_PLAN_STATES),
            plain("convenu_le", "agreed_on"),
            plain("dernier_bilan", "last_review_on"),
            plain("prochain_bilan", "next_review_on"),
            plain("clos_le", "closed_on"),
        ),
        references={"person": "id_beneficiaire", "centre": "id_centre", "assessment": "id_evaluation"},
        modified_at="date_maj",
    ),
    Table(
        record_type="pathway",
        name="parcours",
        key="id_parcours",
        new_key="nextval(pg_get_serial_sequence('parcours', 'id_parcours'))",
        columns=(
            coded("etape", "step", PATHWAY_STEPS),
            plain("accueilli_le", "received_on"),
            plain("ecoute_le", "listened_on"),
            plain("diagnostique_le", "diagnosed_on"),
            plain("oriente_le", "oriented_on"),
            coded("voie", "orientation", PATHWAY_ORIENTATIONS),
            plain("insere_le", "integrated_on"),
            coded("forme_insertion", "integration", PATHWAY_INTEGRATIONS),
            plain("parti_le", "left_on"),
        ),
        references={"person": "id_beneficiaire", "centre": "id_centre"},
        modified_at="date_maj",
    ),
)
