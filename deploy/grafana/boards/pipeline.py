"""From agency to hub to agencies: where does it wait?"""

from __future__ import annotations

from form import RATE, Board, Panel, Query, quantile

PIPELINE = Board(
    "jisr-pipeline",
    ("Jisr: delivery pipeline", "Jisr : chaîne de livraison", "جسر: سلسلة التسليم"),
    (
        "From agency to hub to agencies: where does it wait?",
        "D'un organisme au hub et aux autres : où attend-on ?",
        "من مؤسسة إلى المنصة إلى الأخرى: أين الانتظار؟",
    ),
    (
        Panel(
            "lines",
            ("Changes taken in", "Changements reçus", "التغييرات المستلمة"),
            ("Per second, by agency.", "Par seconde, par organisme.", "في الثانية حسب المؤسسة."),
            (Query(f"sum by (agency) (rate(jisr_changes_total{RATE}))", "{{agency}}"),),
            unit="cps",
        ),
        Panel(
            "lines",
            ("To the hub's commit", "Jusqu'au hub", "حتى الحفظ في المنصة"),
            (
                "99% of edits, from the agency's commit.",
                "99 % des modifications, depuis l'organisme.",
                "99٪ من التعديلات منذ حفظها في المؤسسة.",
            ),
            (Query(f"{quantile(0.99, 'jisr_change_delay_seconds', 'agency')} or vector(0)", "{{agency}}"),),
            unit="s",
        ),
        Panel(
            "lines",
            ("To the agency's commit", "Jusqu'à l'organisme", "حتى الحفظ في المؤسسة"),
            (
                "99% of deliveries, from the broker on.",
                "99 % des livraisons, depuis le courtier.",
                "99٪ من التسليمات منذ الوسيط.",
            ),
            (Query(quantile(0.99, "jisr_connector_delivery_lag_seconds", "agency"), "{{agency}}"),),
            unit="s",
        ),
        Panel(
            "lines",
            ("Published", "Publié", "المنشور"),
            ("Messages per second, by topic.", "Messages par seconde, par sujet.", "الرسائل في الثانية."),
            (Query(f"sum by (topic) (rate(jisr_published_total{RATE}))", "{{topic}}"),),
            unit="cps",
        ),
        Panel(
            "lines",
            ("Not dealt with", "En attente", "غير معالجة"),
            (
                "Messages by lane; steadily growing is bad.",
                "Messages par voie ; une croissance continue est mauvaise.",
                "الرسائل حسب المسار؛ النمو المستمر سيئ.",
            ),
            (Query("sum by (lane, agency) (jisr:pending:messages)", "{{lane}} {{agency}}"),),
        ),
        Panel(
            "lines",
            ("Receipts", "Accusés", "الإيصالات"),
            ("Per second, by agency.", "Par seconde, par organisme.", "في الثانية حسب المؤسسة."),
            (Query(f"sum by (agency) (rate(jisr_connector_receipts_total{RATE}))", "{{agency}}"),),
            unit="cps",
        ),
        Panel(
            "lines",
            ("Unpublished and due", "Non publié et dû", "غير منشور ومستحق"),
            (
                "Entities; both should fall to 0.",
                "Entités ; les deux doivent revenir à 0.",
                "كيانات؛ يجب أن يعود كلاهما إلى 0.",
            ),
            (
                Query("max(jisr_unpublished_entities)", "unpublished"),
                Query("max(jisr_due_entities)", "due"),
            ),
        ),
        Panel(
            "bars",
            ("Lanes that work", "Voies actives", "المسارات العاملة"),
            (
                "1: works; 0: waits for something that is away.",
                "1 : travaille ; 0 : attend quelque chose.",
                "1: يعمل؛ 0: ينتظر شيئا غائبا.",
            ),
            (Query("jisr_lane_ready", "{{instance}} {{lane}}"),),
            warn=1,
            bad=0.5,
        ),
        Panel(
            "lines",
            ("Schemas rejected", "Schémas rejetés", "مخططات مرفوضة"),
            (
                "Messages per hour whose schema is at fault.",
                "Messages par heure dont le schéma est fautif.",
                "الرسائل في الساعة ذات المخطط الخاطئ.",
            ),
            (
                Query(
                    "sum by (agency, code) (increase(jisr_schema_rejections_total[1h])) or vector(0)",
                    "{{agency}} {{code}}",
                ),
            ),
        ),
    ),
)
