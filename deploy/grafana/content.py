"""What the dashboards show: five of them, each a list of panels with their queries, in three languages."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["en", "fr", "ar"]
LANGUAGES: tuple[Language, ...] = ("en", "fr", "ar")
Kind = Literal["stat", "bars", "lines", "states"]
# English, French, Arabic.
Words = tuple[str, str, str]


class Query(NamedTuple):
    """A query of Prometheus, and what its series are called; `$agency` is the agency chosen."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One panel. `warn` and `bad`: from where its colour changes; lower is worse where bad < warn."""

    kind: Kind
    title: Words
    description: Words
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    warn: float | None = None
    bad: float | None = None


class Board(NamedTuple):
    """One dashboard; `by_agency`: with a choice of agency at its top."""

    uid: str
    title: Words
    description: Words
    panels: tuple[Panel, ...]
    by_agency: bool = False


_RATE = "[$__rate_interval]"
_AGE = "jisr:convergence_age:seconds"
# 0: converged, 1: late, 2: broken. An agency whose connector is not scraped at all is broken, too.
_STATE = (
    f"clamp_max(({_AGE} > bool 5) + on (agency) 2 * (1 - min by (agency) (jisr_connector_up)), 2)"
    f" or on (agency) ({_AGE} * 0 + 2)"
)


def _p(quantile: float, histogram: str, by: str = "", where: str = "") -> str:
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({histogram}_bucket{where}{_RATE})))"


def _persons(expr: str) -> str:
    return f"sum({expr}) or vector(0)"


OVERVIEW = Board(
    "jisr-overview",
    ("Jisr: overview", "Jisr : vue d'ensemble", "جسر: نظرة عامة"),
    (
        "Every agency at a glance: converged, late, broken.",
        "Chaque organisme d'un coup d'œil : à jour, en retard, en panne.",
        "كل مؤسسة في لمحة: متطابقة، متأخرة، معطلة.",
    ),
    (
        Panel(
            "stat",
            ("Converged", "À jour", "متطابقة"),
            (
                "Agencies that have everything and are heard.",
                "Organismes qui ont tout reçu et sont entendus.",
                "مؤسسات وصلها كل شيء وسُمع كل ما قالته.",
            ),
            (Query(f"count(({_STATE}) == 0) or vector(0)"),),
            width=4,
        ),
        Panel(
            "stat",
            ("Late", "En retard", "متأخرة"),
            (
                "Agencies with something pending for more than 5 s.",
                "Organismes où quelque chose attend depuis plus de 5 s.",
                "مؤسسات ينتظر فيها شيء منذ أكثر من 5 ثوان.",
            ),
            (Query(f"count(({_STATE}) == 1) or vector(0)"),),
            width=4,
            warn=1,
            bad=1_000,
        ),
        Panel(
            "stat",
            ("Broken", "En panne", "معطلة"),
            (
                "Agencies whose connector or database is away.",
                "Organismes dont le connecteur ou la base est absent.",
                "مؤسسات غاب موصلها أو قاعدة بياناتها.",
            ),
            (Query(f"count(({_STATE}) == 2) or vector(0)"),),
            width=4,
            warn=1,
            bad=1,
        ),
        Panel(
            "stat",
            ("Alerts", "Alertes", "تنبيهات"),
            ("Alerts that fire now.", "Alertes en cours.", "التنبيهات القائمة الآن."),
            (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
            width=4,
            warn=1,
            bad=5,
        ),
        Panel(
            "stat",
            ("Late in the last hour", "En retard sur une heure", "المتأخر في الساعة الأخيرة"),
            (
                "Share of changes that took more than 5 s; 0.1% is the objective.",
                "Part des changements de plus de 5 s ; objectif : 0,1 %.",
                "نسبة التغييرات التي تجاوزت 5 ثوان؛ الهدف 0.1٪.",
            ),
            (Query("jisr:convergence_late:ratio1h or vector(0)"),),
            unit="percentunit",
            width=4,
            warn=0.001,
            bad=0.0144,
        ),
        Panel(
            "stat",
            ("Budget left", "Marge restante", "الهامش المتبقي"),
            (
                "What is left of the lateness that 30 days allow.",
                "Ce qui reste du retard permis sur 30 jours.",
                "ما بقي من التأخر المسموح به في 30 يوما.",
            ),
            (Query("jisr:convergence_budget:remaining or vector(1)"),),
            unit="percentunit",
            width=4,
            warn=0.5,
            bad=0.1,
        ),
        Panel(
            "states",
            ("Agencies", "Organismes", "المؤسسات"),
            (
                "0 converged, 1 late, 2 broken, over time.",
                "0 à jour, 1 en retard, 2 en panne, dans le temps.",
                "0 متطابقة، 1 متأخرة، 2 معطلة، عبر الزمن.",
            ),
            (Query(_STATE, "{{agency}}"),),
            width=24,
            warn=1,
            bad=2,
        ),
        Panel(
            "bars",
            ("Late since", "En retard depuis", "متأخرة منذ"),
            (
                "Age of the oldest change that has not come through.",
                "Âge du plus ancien changement en attente.",
                "عمر أقدم تغيير لم يصل بعد.",
            ),
            (Query(_AGE, "{{agency}}"),),
            unit="s",
            width=12,
            warn=5,
            bad=60,
        ),
        Panel(
            "lines",
            ("From commit to commit", "De validation à validation", "من الحفظ إلى الحفظ"),
            (
                "How long 99% of changes take to reach an agency.",
                "Délai de 99 % des changements vers un organisme.",
                "مدة وصول 99٪ من التغييرات إلى المؤسسة.",
            ),
            (Query("jisr:convergence_seconds:p99", "{{agency}}"),),
            unit="s",
            width=12,
            warn=1,
            bad=5,
        ),
        Panel(
            "stat",
            ("Dead letters", "Messages inutilisables", "رسائل غير صالحة"),
            (
                "Messages on which nobody has decided: `jisr dlq list`.",
                "Messages sans décision : `jisr dlq list`.",
                "رسائل لم يُبت فيها: `jisr dlq list`.",
            ),
            (Query(_persons("max by (agency, record_type) (jisr_open_dead_letters)")),),
            width=6,
            warn=1,
            bad=100,
        ),
        Panel(
            "stat",
            ("Refused", "Refusés", "مرفوضة"),
            (
                "Deliveries that an agency's tables refuse.",
                "Livraisons que les tables d'un organisme refusent.",
                "تسليمات ترفضها جداول المؤسسة.",
            ),
            (
                Query(
                    _persons(
                        "max by (agency, record_type, code) "
                        '(jisr_undelivered_entities{state="refused"})'
                    )
                ),
            ),
            width=6,
            warn=1,
            bad=100,
        ),
        Panel(
            "stat",
            ("To be reviewed", "À examiner", "للمراجعة"),
            (
                "Pairs that may be one person: `jisr review list`.",
                "Paires qui sont peut-être une personne : `jisr review list`.",
                "أزواج قد تكون شخصا واحدا: `jisr review list`.",
            ),
            (Query(_persons("max by (record_type) (jisr_open_reviews)")),),
            width=6,
            warn=50,
            bad=500,
        ),
        Panel(
            "stat",
            ("Held", "Retenus", "معلقة"),
            (
                "Changes that wait for a person: `jisr hold list`.",
                "Changements qui attendent une personne : `jisr hold list`.",
                "تغييرات تنتظر شخصا: `jisr hold list`.",
            ),
            (Query(_persons("max by (agency, record_type) (jisr_held_changes)")),),
            width=6,
            warn=1,
            bad=100,
        ),
    ),
)

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
            (Query(f"{_AGE}{_HERE}"),),
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
            (Query(f"jisr_connector_up{_HERE}", "{{side}}"),),
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
                    f"sum by (record_type) (rate(jisr_connector_changes_total{_HERE}{_RATE}))",
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
            (Query(f"sum by (outcome) (rate(jisr_connector_deliveries_total{_HERE}{_RATE}))", "{{outcome}}"),),
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
                Query(f"sum by (reason) (increase(jisr_answers_total{_HERE}[1h])) or vector(0)", "{{reason}}"),
                Query(f"sum by (code) (increase(jisr_dead_letters_total{_HERE}[1h])) or vector(0)", "{{code}}"),
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
            (Query(f"sum by (agency) (rate(jisr_changes_total{_RATE}))", "{{agency}}"),),
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
            (Query(f"{_p(0.99, 'jisr_change_delay_seconds', 'agency')} or vector(0)", "{{agency}}"),),
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
            (Query(_p(0.99, "jisr_connector_delivery_lag_seconds", "agency"), "{{agency}}"),),
            unit="s",
        ),
        Panel(
            "lines",
            ("Published", "Publié", "المنشور"),
            ("Messages per second, by topic.", "Messages par seconde, par sujet.", "الرسائل في الثانية."),
            (Query(f"sum by (topic) (rate(jisr_published_total{_RATE}))", "{{topic}}"),),
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
            (Query(f"sum by (agency) (rate(jisr_connector_receipts_total{_RATE}))", "{{agency}}"),),
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
                    f"sum by (job, agency, instance) (rate(process_cpu_seconds_total{_RATE}))",
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
                    f"sum(rate(jisr_intake_batch_changes_sum{_RATE})) "
                    f"/ (sum(rate(jisr_intake_batch_changes_count{_RATE})) > 0) or vector(0)",
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
            (Query(f"{_p(0.99, 'jisr_intake_batch_seconds')} or vector(0)", "p99"),),
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
                    f"sum by (agency) (rate(jisr_connector_sweep_seconds_total{_RATE})) or vector(0)",
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
        ),
    ),
)

BOARDS: tuple[Board, ...] = (OVERVIEW, AGENCY, PIPELINE, MATCHING, CAPACITY)
