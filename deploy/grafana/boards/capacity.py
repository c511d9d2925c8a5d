"""What is used, and what is short before anybody is late."""

from __future__ import annotations

from form import RATE, Board, Panel, Query, quantile

CAPACITY = Board(
    "jisr-capacity",
    ("Jisr: capacity", "Jisr : capacité", "جسر: السعة"),
    (
        "What is used, and what is short before anybody is late.",
        "Ce qui est utilisé, et ce qui manquera d'abord.",
        "ما يُستعمل، وما سينقص أولا.",
    ),
    (
        Panel(
            "lines",
            ("Processors", "Processeurs", "المعالجات"),
            (
                "Processors that each process keeps busy.",
                "Processeurs occupés par processus.",
                "المعالجات التي تشغلها كل عملية.",
            ),
            (
                Query(
                    f"sum by (job, agency, instance) (rate(process_cpu_seconds_total{RATE}))",
                    "{{job}} {{agency}} {{instance}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "lines",
            ("Memory", "Mémoire", "الذاكرة"),
            ("Resident, by process.", "Résidente, par processus.", "المقيمة حسب العملية."),
            (Query("process_resident_memory_bytes", "{{job}} {{agency}} {{instance}}"),),
            unit="bytes",
            width=12,
        ),
        Panel(
            "lines",
            ("Size of an intake", "Taille d'un lot", "حجم الدفعة"),
            (
                "Changes in one transaction; near 2,000: add workers.",
                "Changements par transaction ; près de 2 000 : ajouter des workers.",
                "التغييرات في المعاملة؛ قرب 2000: أضف عاملين.",
            ),
            (
                Query(
                    f"sum(rate(jisr_intake_batch_changes_sum{RATE})) "
                    f"/ (sum(rate(jisr_intake_batch_changes_count{RATE})) > 0) or vector(0)",
                    "mean",
                ),
            ),
        ),
        Panel(
            "lines",
            ("Time of an intake", "Durée d'un lot", "مدة الدفعة"),
            (
                "99% of transactions; growing: the store is slow.",
                "99 % des transactions ; croissante : la base est lente.",
                "99٪ من المعاملات؛ إن كبرت فالمخزن بطيء.",
            ),
            (Query(f"{quantile(0.99, 'jisr_intake_batch_seconds')} or vector(0)", "p99"),),
            unit="s",
        ),
        Panel(
            "lines",
            ("Captured, not sent", "Captés, non envoyés", "ملتقطة ولم ترسل"),
            (
                "Rows in agencies' databases.",
                "Lignes dans les bases des organismes.",
                "صفوف في قواعد المؤسسات.",
            ),
            (Query("jisr_connector_backlog_rows", "{{agency}}"),),
        ),
        Panel(
            "lines",
            ("Sizes of what is sent and applied", "Taille des envois", "أحجام الإرسال والتطبيق"),
            (
                "Mean per batch; large: it is catching up.",
                "Moyenne par lot ; grande : rattrapage.",
                "المتوسط في الدفعة؛ الكبير يعني اللحاق.",
            ),
            (
                Query(
                    "sum by (agency) (jisr_connector_batch_changes_sum) "
                    "/ (sum by (agency) (jisr_connector_batch_changes_count) > 0)",
                    "{{agency}} sent",
                ),
                Query(
                    "sum by (agency) (jisr_connector_batch_deliveries_sum) "
                    "/ (sum by (agency) (jisr_connector_batch_deliveries_count) > 0)",
                    "{{agency}} applied",
                ),
            ),
        ),
        Panel(
            "lines",
            ("Load of sweeps", "Charge des balayages", "حمل المسح"),
            (
                "Seconds of statements per second at each agency.",
                "Secondes de requêtes par seconde, par organisme.",
                "ثواني الاستعلام في الثانية لكل مؤسسة.",
            ),
            (
                Query(
                    f"sum by (agency) (rate(jisr_connector_sweep_seconds_total{RATE})) or vector(0)",
                    "{{agency}}",
                ),
            ),
        ),
        Panel(
            "lines",
            ("Entities held", "Entités détenues", "الكيانات المحفوظة"),
            (
                "What each agency was last told to hold.",
                "Ce que chaque organisme doit détenir.",
                "ما طُلب من كل مؤسسة حفظه.",
            ),
            (Query("sum by (agency) (max by (agency, record_type) (jisr_entitled_entities))", "{{agency}}"),),
        ),
        Panel(
            "lines",
            ("Cost of scraping", "Coût de la collecte", "كلفة الجمع"),
            ("Series per scrape.", "Séries par collecte.", "السلاسل في كل جمع."),
            (Query("scrape_samples_scraped", "{{job}} {{instance}}"),),
            width=24,
        ),
    ),
)
