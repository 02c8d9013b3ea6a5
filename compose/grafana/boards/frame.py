"""What all dashboards share: variables, annotations, layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    GridPos,
    VariableRefresh,
    VariableSort,
)

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
COLUMNS, HEIGHT = 24, 8

ROLLOUTS = 'changes(rollout_sequence{model=~"$model"}[1m]) > 0'
DRIFT = 'max by (model, kind) (drift_active{model=~"$model"}) == 1'


@dataclass(frozen=True)
class Query:
    """An expression and the legend of its series."""

    expr: str
    legend: str = ""
    exemplars: bool = False
    """Whether to show the traces behind a histogram."""


@dataclass(frozen=True)
class Panel:
    """One graph, or one number."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    width: int = 8
    number: bool = False
    """Whether the newest value is enough."""


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """A dashboard; its uid is the name of its file."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]


def built(board: Board) -> str:
    """The dashboard as Grafana reads it."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(f"tailrace-{board.uid}")
        .description(board.description)
        .tags(["tailrace"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(_variable("model", "label_values(predictions_total, model)"))
        .with_variable(
            _variable("version", 'label_values(predictions_total{model=~"$model"}, version)')
        )
        .annotation(_annotation("Rollouts", ROLLOUTS, "blue"))
        .annotation(_annotation("Drift", DRIFT, "orange"))
    )
    number, top = 0, 0
    for row in board.rows:
        number += 1
        builder.with_row(dashboard.Row(row.title).id(number).grid_pos(_place(0, top, COLUMNS, 1)))
        top, left = top + 1, 0
        for panel in row.panels:
            number += 1
            if left + panel.width > COLUMNS:
                top, left = top + HEIGHT, 0
            place = _place(left, top, panel.width, HEIGHT)
            builder.with_panel(_panel(panel).id(number).grid_pos(place))
            left += panel.width
        top += HEIGHT
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _place(x: int, y: int, width: int, height: int) -> GridPos:
    return GridPos(h=height, w=width, x=x, y=y)


def _panel(panel: Panel) -> Any:
    builder = stat.Panel() if panel.number else timeseries.Panel()
    builder.title(panel.title).description(panel.description).unit(panel.unit)
    builder.datasource(PROMETHEUS)
    for index, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id("ABCDEFGH"[index])
        if query.legend:
            target.legend_format(query.legend)
        if query.exemplars:
            target.exemplar(True)
        if panel.number:
            target.instant()
        builder.with_target(target)
    if isinstance(builder, timeseries.Panel):
        legend = common.VizLegendOptions().show_legend(True)
        legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        builder.legend(legend).fill_opacity(8).line_width(1)
    return builder


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name)
        .datasource(PROMETHEUS)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NUMERICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def _annotation(name: str, expr: str, color: str) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(PROMETHEUS)
        .enable(True)
        .icon_color(color)
        .expr(expr)
    )
