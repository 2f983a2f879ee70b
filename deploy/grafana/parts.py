"""What the panels of both dashboards have in common: where data comes from, sizes, legends, colours."""

from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMapping,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

DATASOURCE = look.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "stream-app"
RATE = "$__rate_interval"
HEIGHT = 8
FULL, HALF, THIRD = 24, 12, 8

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "#8e8e8e"
Steps = Sequence[tuple[float, str]]
"""From each value on its colour; below the first one it is green."""


class Query(NamedTuple):
    """What is asked of Prometheus, and what its answer is called."""

    expr: str
    legend: str = "__auto"


def dashboard(uid: str, title: str, description: str) -> Dashboard:
    """An empty dashboard that knows its data source and links to the other one."""
    link = DashboardLink("The other dashboard").type(DashboardLinkType.DASHBOARDS).tags([TAG]).icon("external link")
    return (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(link.keep_time(keep_time=True))
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_variable("job", "Tracker", "Workers that Prometheus scrapes under one name", "influence_rows"))
    )


def choice(name: str, label: str, description: str, series: str) -> QueryVariable:
    """A variable of one or more values of the label `name`, all of them to begin with."""
    everything = VariableOption(text="All", value="$__all")
    variable = _variable(name, label, description, f'{series}{{job="$job"}}')
    return variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(everything)


def _variable(name: str, label: str, description: str, series: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({series}, {name})", "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def words(title: str, content: str, height: int) -> text.Panel:
    """Text across the whole width."""
    return text.Panel().title(title).mode(TextMode.MARKDOWN).content(content).span(FULL).height(height)


def number(title: str, description: str, unit: str, query: Query, steps: Steps = ()) -> stat.Panel:
    """One number, coloured by what it means, with its past behind it."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_mode(look.BigValueColorMode.VALUE if steps else look.BigValueColorMode.NONE)
        .graph_mode(look.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("–")
        .with_target(_target(query, "A"))
        .span(4)
        .height(4)
    )


def shares(title: str, description: str, query: Query, steps: Steps) -> bargauge.Panel:
    """A bar for each series, as it is now: a part of the whole."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(units.PercentUnit)
        .min(0)
        .max(1)
        .thresholds(_thresholds(steps))
        .orientation(look.VizOrientation.HORIZONTAL)
        .display_mode(look.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target(query, "A").instant())
        .span(HALF)
        .height(HEIGHT)
    )


def curves(title: str, description: str, unit: str, *queries: Query, steps: Steps = ()) -> timeseries.Panel:
    """Lines over time; `steps` are drawn across them."""
    style = look.GraphThresholdsStyleMode.DASHED if steps else look.GraphThresholdsStyleMode.OFF
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .axis_soft_min(0)
        .line_width(1)
        .fill_opacity(10)
        .show_points(look.VisibilityMode.NEVER)
        .thresholds(_thresholds(steps))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
        .legend(_legend("lastNotNull", "max"))
        .tooltip(_tooltip())
        .span(THIRD)
        .height(HEIGHT)
    )
    for query, ref in zip(queries, ascii_uppercase, strict=False):
        panel.with_target(_target(query, ref))
    return panel


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Its lines on top of each other: together they make the whole."""
    return panel.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL)).fill_opacity(40)


def counted(panel: timeseries.Panel, smallest: str) -> timeseries.Panel:
    """Its values as bars that say how many there were in a step, which is `smallest` or longer."""
    bars_ = panel.draw_style(look.GraphDrawStyle.BARS).legend(_legend("sum")).interval(smallest).decimals(0)
    return stacked(bars_).fill_opacity(80)


def states(title: str, description: str, mappings: list[ValueMapping], query: Query) -> statetimeline.Panel:
    """A band for each series, with what its values mean."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .mappings(mappings)
        .show_value(look.VisibilityMode.AUTO)
        .merge_values(merge_values=True)
        .tooltip(_tooltip())
        .with_target(_target(query, "A"))
        .span(THIRD)
        .height(HEIGHT)
    )


def heat(title: str, description: str, expr: str) -> heatmap.Panel:
    """The buckets of a histogram of seconds over time."""
    colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").fill("dark-blue")
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .calculate(calculate=False)
        .color(colours.scale(HeatmapColorScale.EXPONENTIAL).exponent(0.5).steps(64))
        .y_axis(heatmap.YAxisConfig().unit(units.Seconds))
        .cell_values(heatmap.CellValues().unit(units.Short))
        .tooltip(heatmap.HeatmapTooltip().mode(look.TooltipDisplayMode.SINGLE).y_histogram(y_histogram=True))
        .show_legend()
        .with_target(_target(Query(expr, "{{le}}"), "A").format(PromQueryFormat.HEATMAP))
        .span(HALF)
        .height(HEIGHT)
    )


def listing(
    title: str,
    description: str,
    columns: dict[str, tuple[str, str]],
    names: dict[str, str],
    sort_by: str = "",
) -> table.Panel:
    """A row for each set of labels. `columns`: title to unit and query; `names`: label to title; `sort_by` a column."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .filterable(filterable=True)
        .span(HALF)
        .height(HEIGHT)
    )
    if sort_by:
        panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(desc=True)])
    renamed = dict(names)
    for (column, (unit, expr)), ref in zip(columns.items(), ascii_uppercase, strict=False):
        panel.with_target(_target(Query(expr), ref).instant().format(PromQueryFormat.TABLE))
        panel.override_by_name(column, _properties(unit=unit))
        renamed[f"Value #{ref}"] = column
    order = {name: place for place, name in enumerate(renamed)}
    organize: dict[str, Any] = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed}
    return panel.transformations(
        [DataTransformerConfig("merge", options={}), DataTransformerConfig("organize", options=organize)]
    )


def painted(panel: timeseries.Panel, colours: dict[str, str]) -> timeseries.Panel:
    """Series by their names in colours that mean something."""
    for name, colour in colours.items():
        panel.override_by_name(name, _properties(color={"mode": "fixed", "fixedColor": colour}))
    return panel


def banded(panel: timeseries.Panel, sides: tuple[str, str], series: Sequence[str]) -> timeseries.Panel:
    """Series named "low: ", "high: " (`sides`), then like another, are its interval: filled for the `series` given."""
    low, high = (f"{side}: " for side in sides)
    hidden = {"legend": True, "tooltip": False, "viz": False}
    dashed = {"lineStyle": {"fill": "dash", "dash": [3, 4]}, "fillOpacity": 0, "hideFrom": hidden}
    panel.override_by_regexp(f"/^({low}|{high})/", _properties("custom.", **dashed))
    for name in series:
        panel.override_by_name(high + name, _properties("custom.", fillBelowTo=low + name, fillOpacity=8))
    return panel


def on_the_right(panel: timeseries.Panel, pattern: str, unit: str) -> timeseries.Panel:
    """Series whose names match have another unit, and an axis of their own."""
    return panel.override_by_regexp(pattern, _properties(unit=unit) + _properties("custom.", axisPlacement="right"))


def _properties(prefix: str = "", **values: Any) -> list[DynamicConfigValue]:
    return [DynamicConfigValue(prefix + name, value) for name, value in values.items()]


def _target(query: Query, ref: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().datasource(DATASOURCE).expr(query.expr).legend_format(query.legend).ref_id(ref)
    return made.range()


def _thresholds(steps: Steps) -> ThresholdsConfig:
    made: Iterable[Threshold] = (Threshold(value, colour) for value, colour in steps)
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(None, GREEN), *made])


def _legend(*calcs: str) -> common.VizLegendOptions:
    options = common.VizLegendOptions().display_mode(look.LegendDisplayMode.TABLE)
    return options.placement(look.LegendPlacement.BOTTOM).show_legend(show_legend=True).calcs(list(calcs))


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI).sort(look.SortOrder.DESCENDING)
