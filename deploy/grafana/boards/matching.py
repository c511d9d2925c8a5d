"""Who is who, what waits for a person, and what lost."""

from __future__ import annotations

from form import Board, Panel, Query

MATCHING = Board(
    "jisr-matching",
    ("Jisr: matching", "Jisr : rapprochement", "جسر: المطابقة"),
    (
        "Who is who, what waits for a person, and what lost.",
        "Qui est qui, ce qui attend une personne, ce qui a perdu.",
        "من هو من، وما ينتظر شخصا، وما خسر.",
    ),
    (
        Panel(
            "lines",
            ("Recognised", "Reconnus", "تم التعرف عليهم"),
            (
                "Records per hour found to be somebody known.",
                "Fiches par heure reconnues comme connues.",
                "السجلات التي تم التعرف عليها في الساعة.",
            ),
            (
                Query(
                    "sum by (agency, record_type) (increase(jisr_match_links_total[1h])) or vector(0)",
                    "{{agency}} {{record_type}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "lines",
            ("To be reviewed", "À examiner", "للمراجعة"),
            (
                "Pairs that may be one; a jump follows a bad import.",
                "Paires à examiner ; un saut suit un mauvais import.",
                "أزواج للمراجعة؛ القفزة تتبع استيرادا سيئا.",
            ),
            (Query("max by (record_type) (jisr_open_reviews)", "{{record_type}}"),),
            width=12,
        ),
        Panel(
            "bars",
            ("Oldest review", "Plus ancien examen", "أقدم مراجعة"),
            (
                "How long the oldest pair has waited.",
                "Attente de la plus ancienne paire.",
                "مدة انتظار أقدم زوج.",
            ),
            (Query("max by (record_type) (jisr_review_age_seconds)", "{{record_type}}"),),
            unit="s",
            warn=86_400,
            bad=3 * 86_400,
        ),
        Panel(
            "bars",
            ("Oldest held change", "Plus ancien changement retenu", "أقدم تغيير معلق"),
            (
                "How long somebody's edit has been held.",
                "Depuis quand une modification est retenue.",
                "منذ متى عُلّق تعديل.",
            ),
            (Query("max by (agency) (jisr_held_age_seconds)", "{{agency}}"),),
            unit="s",
            warn=86_400,
            bad=3 * 86_400,
        ),
        Panel(
            "bars",
            ("Disputed fields", "Champs disputés", "حقول متنازع عليها"),
            (
                "Two systems overwrite each other.",
                "Deux systèmes s'écrasent l'un l'autre.",
                "نظامان يكتب أحدهما فوق الآخر.",
            ),
            (Query("sum by (agency) (max by (agency, record_type) (jisr_disputed_fields))", "{{agency}}"),),
            warn=1,
            bad=100,
        ),
        Panel(
            "lines",
            ("Edits that lost", "Modifications perdues", "تعديلات خاسرة"),
            (
                "Fields per hour, by agency and reason.",
                "Champs par heure, par organisme et motif.",
                "الحقول في الساعة حسب المؤسسة والسبب.",
            ),
            (
                Query(
                    "sum by (agency, reason) (increase(jisr_answers_total[1h])) or vector(0)",
                    "{{agency}} {{reason}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "lines",
            ("Parked keys", "Clés en attente", "مفاتيح منتظرة"),
            (
                "Records that refer to something unknown.",
                "Fiches qui renvoient à un inconnu.",
                "سجلات تشير إلى مجهول.",
            ),
            (Query("max by (agency, record_type) (jisr_waiting_references)", "{{agency}} {{record_type}}"),),
            width=12,
        ),
    ),
)
