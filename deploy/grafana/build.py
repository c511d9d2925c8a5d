"""Builds the dashboards from `boards/`: python deploy/grafana/build.py [FOLDER]

One folder per language; what is there is replaced. A test builds them anew and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from boards import BOARDS
from form import LANGUAGES, Board, Language, Panel
from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

HERE = Path(__file__).parent
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
# Whole rows of 24 columns.
_HEIGHTS = {"stat": 4, "bars": 7, "lines": 8, "states": 6}
_AGENCY_LABEL = {"en": "Agency", "fr": "Organisme", "ar": "المؤسسة"}
_GREEN, _ORANGE, _RED, _BLUE = "green", "orange", "red", "blue"
Made = stat.Panel | bargauge.Panel | timeseries.Panel | statetimeline.Panel


def main(folder: Path) -> None:
    for language in LANGUAGES:
        (folder / language).mkdir(parents=True, exist_ok=True)
        for board in BOARDS:
            text = JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(
                _board(board, language).build()
            )
            (folder / language / f"{board.uid}.json").write_text(f"{text}\n", encoding="utf-8")


def _board(board: Board, language: Language) -> dashboard.Dashboard:
    spoken = LANGUAGES.index(language)
    suffix = "" if language == "en" else f"-{language}"
    made = (
        dashboard.Dashboard(board.title[spoken])
        .uid(f"{board.uid}{suffix}")
        .description(board.description[spoken])
        .tags(["jisr", language])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .readonly()
    )
    if board.by_agency:
        made.with_variable(
            dashboard.QueryVariable("agency")
            .label(_AGENCY_LABEL[language])
            .datasource(SOURCE)
            .query("label_values(jisr_convergence_age_seconds, agency)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        )
    for number, panel in enumerate(board.panels, 1):
        made.with_panel(_panel(panel, spoken).id(number))
    return made


def _panel(panel: Panel, spoken: int) -> Made:
    made = _kind(panel)
    made.title(panel.title[spoken]).description(panel.description[spoken]).datasource(SOURCE)
    made.unit(panel.unit).span(panel.width).height(_HEIGHTS[panel.kind]).min(0)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(query.expr)
        target.legend_format(query.legend or "__auto")
        made.with_target(target.instant() if panel.kind in ("stat", "bars") else target.range())
    if steps := _steps(panel):
        made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    return made


def _kind(panel: Panel) -> Made:
    if panel.kind == "stat":
        return stat.Panel()
    if panel.kind == "bars":
        return bargauge.Panel()
    return statetimeline.Panel() if panel.kind == "states" else timeseries.Panel()


def _steps(panel: Panel) -> list[Threshold]:
    """Green, orange from `warn` on, red from `bad` on, or the other way round where lower is worse; blue from
    `paused` on. None where no colour is asked for."""
    warn, bad = panel.warn, panel.bad
    steps: list[tuple[float | None, str]] = []
    if warn is not None and bad is not None:
        worse = bad < warn
        steps = (
            [(None, _RED), (bad, _ORANGE), (warn, _GREEN)]
            if worse
            else [(None, _GREEN), (warn, _ORANGE), (bad, _RED)]
        )
    if panel.paused is not None:
        steps = [*(steps or [(None, _GREEN)]), (panel.paused, _BLUE)]
    return [Threshold(value=value, color=color) for value, color in steps]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards")
