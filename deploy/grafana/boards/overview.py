"""Every agency at a glance."""

from __future__ import annotations

from form import AGE, Board, Panel, Query

# Of each side the connector at work counts, not one that stands by; a side that somebody paused is not away.
_PAUSED = "max by (agency, side) (jisr_connector_paused_timestamp_seconds) > 0"
_UP = f'min by (agency) (max by (agency, side) (jisr_connector_up{{side!="sweep"}}) unless ({_PAUSED}))'
# 0: converged, 1: late, 2: broken, 3: paused. As the alerts have it, a pause excuses what is late and its own
# side, not the other. An agency whose connector is not scraped at all is broken, too.
_STATE = (
    f"({_UP} == 0) + 2 or on (agency) max by (agency) ({_PAUSED}) * 0 + 3 "
    f"or on (agency) (({AGE} > bool 5) and on (agency) {_UP}) or on (agency) ({AGE} * 0 + 2)"
)


def _sum(expr: str) -> str:
    """What waits for somebody, of all agencies; nothing is 0."""
    return f"sum({expr}) or vector(0)"


OVERVIEW = Board(
    "jisr-overview",
    ("Jisr: overview", "Jisr : vue d'ensemble", "جسر: نظرة عامة"),
    (
        "Every agency at a glance: converged, late, broken, paused.",
        "Chaque organisme d'un coup d'œil : à jour, en retard, en panne, en pause.",
        "كل مؤسسة في لمحة: متطابقة، متأخرة، معطلة، موقوفة مؤقتا.",
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
            width=3,
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
            width=3,
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
            width=3,
            warn=1,
            bad=1,
        ),
        Panel(
            "stat",
            ("Paused", "En pause", "موقوفة مؤقتا"),
            (
                "Agencies whose connector somebody paused: `jisr status` says who and why.",
                "Organismes dont quelqu'un a mis le connecteur en pause : `jisr status`.",
                "مؤسسات أوقف أحدهم موصلها مؤقتا: `jisr status`.",
            ),
            (Query(f"count(({_STATE}) == 3) or vector(0)"),),
            width=3,
            paused=1,
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
                "0 converged, 1 late, 2 broken, 3 paused, over time.",
                "0 à jour, 1 en retard, 2 en panne, 3 en pause, dans le temps.",
                "0 متطابقة، 1 متأخرة، 2 معطلة، 3 موقوفة مؤقتا، عبر الزمن.",
            ),
            (Query(_STATE, "{{agency}}"),),
            width=24,
            warn=1,
            bad=2,
            paused=3,
        ),
        Panel(
            "bars",
            ("Late since", "En retard depuis", "متأخرة منذ"),
            (
                "Age of the oldest change that has not come through.",
                "Âge du plus ancien changement en attente.",
                "عمر أقدم تغيير لم يصل بعد.",
            ),
            (Query(AGE, "{{agency}}"),),
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
            (Query(_sum("max by (agency, record_type) (jisr_open_dead_letters)")),),
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
            (Query(_sum('max by (agency, record_type, code) (jisr_undelivered_entities{state="refused"})')),),
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
            (Query(_sum("max by (record_type) (jisr_open_reviews)")),),
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
            (Query(_sum("max by (agency, record_type) (jisr_held_changes)")),),
            width=6,
            warn=1,
            bad=100,
        ),
    ),
)
