"""Line charts as SVG inside a page.

matplotlib's SVG would need ten times the bytes for the sixty small charts of a table,
and could take neither the page's colours, light or dark, nor its width.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from igam_tf.reports.histories import Curve
from igam_tf.reports.page.html import element
from igam_tf.reports.style import PALETTE

# Units of the drawing, of which the page shows about one as a pixel.
_WIDTH, _HEIGHT = 260, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 8, 8, 22
_DASHES = (None, "5 3", "1.5 2.5", "8 3 1.5 3")


def line_chart(title: str, curves: Mapping[str, Curve]) -> Element:
    """A chart of curves over epochs, with a legend that says where each ends.

    Curves differ in colour and dashes; the text for those who do not see them says how
    each begins and ends.

    Args:
        title: of the chart.
        curves: dict from a name to points (epoch, value); at least one point in all.

    Returns:
        Element `figure`.
    """
    points = [point for curve in curves.values() for point in curve]
    epochs = [x for x, _ in points]
    x_ticks, y_ticks = _epoch_ticks(epochs), _ticks([y for _, y in points])
    x_place = _scale(min(epochs), max(epochs), _LEFT + 4, _WIDTH - _RIGHT - 4)
    y_place = _scale(y_ticks[0], y_ticks[-1], _HEIGHT - _BOTTOM, _TOP)
    drawn = element(
        "svg",
        _grid(x_ticks, y_ticks, x_place, y_place),
        (
            _line(number, curve, x_place, y_place)
            for number, curve in enumerate(curves.values())
        ),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=_told(title, curves),
    )
    legend = (
        element(
            "li", _swatch(number), element("span", name), element("b", _last(curve))
        )
        for number, (name, curve) in enumerate(curves.items())
    )
    return element(
        "figure",
        element("figcaption", title),
        drawn,
        element("ul", legend, class_="legend"),
        class_="chart",
    )


def count_of_epochs(number: int) -> str:
    """ "1 epoch", "2 epochs"."""
    return f"{number} epoch" + ("s" if number != 1 else "")


def _told(title, curves):
    ends = (
        f"{name} from {_short(curve[0][1])} to {_last(curve)}"
        for name, curve in curves.items()
    )
    last = max(epoch for curve in curves.values() for epoch, _ in curve)
    return f"{title} over {count_of_epochs(last)}: {'; '.join(ends)}."


def _grid(x_ticks, y_ticks, x_place, y_place):
    for tick in y_ticks:
        y = y_place(tick)
        yield element(
            "path", d=f"M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}",
            class_="zero" if tick == 0 else "grid",
        )  # fmt: skip
        yield element("text", _short(tick), x=_LEFT - 5, y=f"{y + 3.5:.1f}",
                      text_anchor="end")  # fmt: skip
    for tick in x_ticks:
        yield element("text", _short(tick), x=f"{x_place(tick):.1f}",
                      y=_HEIGHT - 6, text_anchor="middle")  # fmt: skip


def _line(number, curve, x_place, y_place):
    places = [f"{x_place(x):.1f} {y_place(y):.1f}" for x, y in curve]
    # A point alone is a line of no length, which a round cap makes a dot.
    path = "M" + "L".join(places if len(places) > 1 else places * 2)
    return element("path", d=path, **_look(number))


def _swatch(number):
    line = element("path", d="M1 5H21", **_look(number))
    return element("svg", line, viewBox="0 0 22 10", aria_hidden="true")


def _look(number):
    return {
        "class_": f"curve c{number % len(PALETTE)}",
        "stroke_dasharray": _DASHES[number % len(_DASHES)],
    }


def _scale(low, high, start, end):
    length = high - low or 1
    return lambda value: start + (value - low) / length * (end - start)


def _ticks(values):
    """Round numbers that enclose all values."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    found = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(f"{tick:.10g}") for tick in found]


def _epoch_ticks(epochs):
    """Whole numbers among the epochs that there were."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(epochs), max(epochs)
    found = MaxNLocator(4, steps=[1, 2, 5, 10], integer=True).tick_values(low, high)
    return [tick for tick in found if low <= tick <= high and tick % 1 == 0] or [high]


def _short(value):
    return f"{value:.4g}".replace("-", "−")


def _last(curve):
    return f"{curve[-1][1]:.3g}".replace("-", "−")
