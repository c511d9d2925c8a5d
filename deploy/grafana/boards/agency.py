"""One agency: is it late, since when, and whose move is it?"""

from __future__ import annotations

from form import AGE, RATE, Board, Panel, Query

_HERE = '{agency="$agency"}'

AGENCY = Board(
    "jisr-agency",
    ("Jisr: one agency", "Jisr : un organisme", "جسر: مؤسسة واحدة"),
    (
        "Is it late, since when, and whose move is it?",
        "Est-il en retard, depuis quand, et à qui d'agir ?",
        "هل هي متأخرة، منذ متى، ومن عليه أن يتصرف؟",
    ),
    (
        Panel(
            "stat",
            ("Late since", "En retard depuis", "متأخرة منذ"),
            (
                "Age of the oldest change that has not come through.",
                "Âge du plus ancien changement en attente.",
                "عمر أقدم تغيير لم يصل بعد.",
            ),
            (Query(f"{AGE}{_HERE}"),),
            unit="s",
            width=6,
            warn=5,
            bad=60,
        ),
        Panel(
            "stat",
            ("Connected", "Connecté", "متصلة"),
            (
                "Sides of its connector: 1 connected, 0 away.",
                "Côtés du connecteur : 1 connecté, 0 absent.",
                "جهات الموصل: 1 متصلة، 0 غائبة.",
            ),
            (Query(f"max by (side) (jisr_connector_up{_HERE})", "{{side}}"),),
            width=6,
            warn=1,
            bad=0.5,
        ),
        Panel(
            "stat",
            ("Captured, not sent", "Captés, non envoyés", "ملتقطة ولم ترسل"),
            (
                "Rows that wait in the agency's database.",
                "Lignes en attente dans la base de l'organisme.",
                "صفوف تنتظر في قاعدة المؤسسة.",
            ),
            (Query(f"jisr_connector_backlog_rows{_HERE}"),),
            width=6,
            warn=1_000,
            bad=10_000,
        ),
        Panel(
            "stat",
            ("Agreement ends in", "Fin de l'accord dans", "تنتهي الاتفاقية بعد"),
            (
                "After that, what it holds from the hub is taken back.",
                "Ensuite, ce qu'il tient du hub lui est retiré.",
                "بعدها يُسحب ما تحمله من المنصة.",
            ),
            (Query(f"min(jisr_agreement_expires_timestamp_seconds{_HERE}) - time()"),),
            unit="s",
            width=6,
            warn=30 * 86_400,
            bad=7 * 86_400,
        ),
        Panel(
            "lines",
            ("Lag by lane", "Retard par voie", "التأخر حسب المسار"),
            (
                "intake: its changes, unread; delivery: what it was told, not applied.",
                "intake : ses changements non lus ; delivery : livraisons non appliquées.",
                "intake: تغييراتها غير المقروءة؛ delivery: ما بُلّغت به ولم يطبق.",
            ),
            (Query(f"jisr:lag:seconds{_HERE}", "{{lane}} {{record_type}}"),),
            unit="s",
            width=12,
        ),
        Panel(
            "lines",
            ("From commit to commit", "De validation à validation", "من الحفظ إلى الحفظ"),
            (
                "To this agency: half, and 99% of changes.",
                "Vers cet organisme : la moitié, et 99 % des changements.",
                "إلى هذه المؤسسة: نصف التغييرات و99٪ منها.",
            ),
            (
                Query(f"jisr:convergence_seconds:p50{_HERE}", "p50"),
                Query(f"jisr:convergence_seconds:p99{_HERE}", "p99"),
            ),
            unit="s",
            width=12,
        ),
        Panel(
            "lines",
            ("What it says", "Ce qu'il dit", "ما تقوله"),
            ("Changes sent per second.", "Changements envoyés par seconde.", "التغييرات المرسلة في الثانية."),
            (
                Query(
                    f"sum by (record_type) (rate(jisr_connector_changes_total{_HERE}{RATE}))",
                    "{{record_type}}",
                ),
            ),
            unit="cps",
        ),
        Panel(
            "lines",
            ("What becomes of what it is told", "Sort des livraisons", "مصير ما تُبلّغ به"),
            (
                "Deliveries per second by outcome.",
                "Livraisons par seconde, par résultat.",
                "التسليمات في الثانية حسب النتيجة.",
            ),
            (Query(f"sum by (outcome) (rate(jisr_connector_deliveries_total{_HERE}{RATE}))", "{{outcome}}"),),
            unit="cps",
        ),
        Panel(
            "lines",
            ("Refused or waiting there", "Refusé ou en attente", "مرفوض أو منتظر هناك"),
            (
                "By reason; `jisr connector status` names the column.",
                "Par motif ; `jisr connector status` nomme la colonne.",
                "حسب السبب؛ `jisr connector status` يسمي العمود.",
            ),
            (
                Query(f"sum by (code) (jisr_connector_waiting_deliveries{_HERE}) or vector(0)", "{{code}}"),
                Query(
                    f"sum by (code) (increase(jisr_connector_write_errors_total{_HERE}[1h])) or vector(0)",
                    "{{code}} /h",
                ),
            ),
        ),
        Panel(
            "lines",
            ("Refused by the hub", "Refusé par le hub", "رفضته المنصة"),
            (
                "Its edits that lost, and its messages that could not be used, per hour.",
                "Ses modifications perdues et ses messages inutilisables, par heure.",
                "تعديلاتها الخاسرة ورسائلها غير الصالحة في الساعة.",
            ),
            (
                Query(
                    f"sum by (reason) (increase(jisr_answers_total{_HERE}[1h])) or vector(0)", "{{reason}}"
                ),
                Query(
                    f"sum by (code) (increase(jisr_dead_letters_total{_HERE}[1h])) or vector(0)", "{{code}}"
                ),
            ),
        ),
        Panel(
            "lines",
            ("Drift", "Dérive", "انحراف"),
            (
                "Rows changed behind the triggers, per day.",
                "Lignes modifiées à l'insu des déclencheurs, par jour.",
                "صفوف غُيّرت من وراء المشغلات في اليوم.",
            ),
            (
                Query(
                    "sum by (kind, state) "
                    f"(increase(jisr_connector_sweep_findings_total{_HERE}[1d])) or vector(0)",
                    "{{kind}} {{state}}",
                ),
            ),
        ),
        Panel(
            "lines",
            ("Clock ahead", "Avance de l'horloge", "تقدم الساعة"),
            (
                "Above 0: its database's clock is ahead of the broker's.",
                "Au-dessus de 0 : l'horloge de sa base avance.",
                "فوق 0: ساعة قاعدتها متقدمة.",
            ),
            (Query(f"max(jisr_clock_skew_seconds{_HERE}) or vector(0)", "$agency"),),
            unit="s",
        ),
    ),
    by_agency=True,
)
