"""Figures of results: bars, surfaces, alignment; their numbers read back."""

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from small_models import digits, digits_net, linear_model

from igam_tf import attacks
from igam_tf.reports import (
    loss_surface,
    plot_alignment,
    plot_bars,
    plot_loss_surface,
)
from igam_tf.reports.alignment import binned_means
from igam_tf.reports.style import COLUMN, PAGE, PALETTE


def entry(accuracy):
    return {"accuracy": accuracy, "interval_95": [accuracy - 0.03, accuracy + 0.02]}


def results():
    return {
        "rows": {
            "a": {
                "label": "Standard",
                "evaluation": {"attacks": {"clean": entry(0.9), "pgd5": entry(0.1)}},
            },
            "b": {
                "label": "IGAM-CIFAR100-Resize",
                "evaluation": {"attacks": {"clean": entry(0.7)}},
            },
        }
    }


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize(
    "accuracy, end", [(0.07, 10), (0.09, 25), (0.3, 50), (0.99, 100)]
)
def test_the_axis_of_bars_ends_beyond_the_longest(accuracy, end):
    """At 9 % the interval goes beyond 10 %."""
    row = {"label": "a", "evaluation": {"attacks": {"clean": entry(accuracy)}}}
    (axis,) = plot_bars({"rows": {"a": row}}, attacks=("clean",)).axes
    assert axis.get_xticks().tolist() == [end * k / 5 for k in range(6)]
    assert axis.get_xlim()[1] > end


@pytest.mark.parametrize("label", ["a$\\frac$", "costs_$5_or_$10", "long" * 30, "_net"])
def test_any_label_is_drawn_as_it_is(label):
    """No formula, which may be a broken one, and no word that leaves no room."""
    row = {"label": label, "evaluation": {"attacks": {"clean": entry(0.5)}}}
    figure = plot_bars({"rows": {"a": row}}, attacks=("clean",))
    FigureCanvasAgg(figure).draw()
    (name,) = figure.axes[0].get_yticklabels()
    shown = name.get_text().replace("\n", "").replace(r"\$", "$")
    assert shown.strip() == label
    assert not is_math_text(name.get_text())
    model, _, _ = linear_model((2, 2, 1))
    surface = {"eps": 0.1, "num_points": 3, "class_names": [label, "b"]}
    figure = plot_loss_surface(
        {label: model}, np.full((2, 2, 1), 0.5, "f"), 0, **surface
    )
    FigureCanvasAgg(figure).draw()


def test_bars_show_values_and_intervals():
    figure = plot_bars(results())
    (axis,) = figure.axes
    bars = [bar for c in axis.containers if isinstance(c, BarContainer) for bar in c]
    assert sorted(bar.get_width() for bar in bars) == pytest.approx([10, 70, 90])
    whiskers = [
        c.lines[2][0].get_segments()[0][:, 0]
        for c in axis.containers
        if isinstance(c, ErrorbarContainer)
    ]
    assert sorted(map(tuple, np.round(whiskers, 6))) == [(7, 12), (67, 72), (87, 92)]
    shown = texts(figure)
    assert {"90.0", "10.0", "70.0", "not measured", "clean", "PGD-5"} <= set(shown)
    # Groups from top to bottom in the order of the rows.
    assert axis.yaxis_inverted()
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["Standard", "IGAM-\nCIFAR100-Resize"]
    assert figure.get_size_inches()[0] == COLUMN


def narrow_surface():
    return plot_loss_surface(
        {"IGAM-TransposeConv": digits_net()}, digits()[0][0], 0, eps=0.3, num_points=5
    )


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_bars(results()),
        narrow_surface,
        lambda: plot_alignment({"FT-TinyImagenet": measures()}),
        lambda: plot_alignment(dict.fromkeys("ABCDE", measures())),
    ],
)
def test_nothing_is_clipped(draw):
    figure = draw()
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"results": {"rows": {}}}, "no rows"),
        ({"attacks": ("clean", "pgd7")}, r"\['pgd7'\] are in no row"),
        ({"attacks": ()}, "one to 7 names"),
    ],
)
def test_bad_bars(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_bars(**{"results": results(), **arguments})


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_surface_of_a_linear_model(norm):
    """Loss and class on the whole plane, by hand: no pixel leaves [0, 1]."""
    model, weights, bias = linear_model(shape=(2, 3, 1), num_classes=2)
    image = np.full((2, 3, 1), 0.5, np.float32)
    found = loss_surface(
        model, image, 0, eps=0.1, norm=norm, num_points=5, batch_size=7, seed=3
    )
    away = weights[:, 1] - weights[:, 0]
    random = np.random.default_rng(3).choice([-1.0, 1.0], (2, 3, 1)).ravel()
    if norm == "linf":
        adversarial = np.sign(away)
    elif norm == "l1":
        # Of six values the step changes one, the other direction the rest of them.
        adversarial = np.sign(away) * (np.abs(away) == np.abs(away).max())
        random = random * (adversarial == 0) / 5
    else:
        adversarial = away / np.linalg.norm(away)
        random = random - random @ adversarial * adversarial
        random /= np.linalg.norm(random)
    steps = np.linspace(-2, 2, 5)
    np.testing.assert_allclose(found["steps"], steps)
    for i, b in enumerate(steps):
        for j, a in enumerate(steps):
            moved = image.ravel() + 0.1 * (a * adversarial + b * random)
            lead = moved @ away + bias[1] - bias[0]
            loss = np.log1p(np.exp(lead))
            np.testing.assert_allclose(found["loss"][i, j], loss, rtol=1e-4)
            assert found["classes"][i, j] == (lead > 0)
    assert len(np.unique(found["classes"])) == 2


def test_surface_in_l1_where_all_pixels_are_equally_steep():
    """Half of them are the step, and the other direction has the other half."""
    model, _, _ = linear_model(shape=(2, 2, 1), num_classes=2)
    model.set_weights([np.float32([[0, 1], [0, -1]] * 2), np.zeros(2, np.float32)])
    image = np.full((2, 2, 1), 0.5, np.float32)
    found = loss_surface(model, image, 0, eps=0.1, norm="l1", num_points=3, extent=1)
    # Upwards in the true class' loss: the first and third pixel by half of eps each.
    np.testing.assert_allclose(found["loss"][1], np.log1p(np.exp([-0.1, 0, 0.1])))


def test_surface_along_an_attack():
    image, label = digits()[0][1300], int(digits()[1][1300])
    attack = attacks.pgd(eps=0.2, num_steps=5)
    found = loss_surface(
        digits_net(), image, label, eps=0.2, num_points=5, extent=1.0, attack=attack
    )
    adversarial = attack(digits_net(), image[None], np.int32([label]))
    logits = np.asarray(digits_net()(adversarial))[0]
    loss = np.log(np.exp(logits).sum()) - logits[label]
    # The end of the horizontal axis is the adversarial image, its middle the image.
    np.testing.assert_allclose(found["loss"][2, 4], loss, rtol=1e-3)
    assert found["loss"][2, 4] > found["loss"][2, 2] + 0.1
    assert found["loss"][2, 4] > found["loss"][4, 2]


def test_surfaces_are_drawn_on_one_scale():
    image, label = digits()[0][1300], int(digits()[1][1300])
    other, _, _ = linear_model(shape=(8, 8, 1), num_classes=10)
    models = {"Standard": digits_net(), **dict.fromkeys("ABCD", other)}
    figure = plot_loss_surface(models, image, label, eps=0.3, num_points=5)
    assert isinstance(figure, Figure)
    titled = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in titled] == list(models)
    limits = {axis.collections[0].get_clim() for axis in titled}
    assert len(limits) == 1 and limits.pop()[0] == 0
    pictures = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert len(pictures) == 5
    np.testing.assert_allclose(pictures[0][2, 2], to_rgb(PALETTE[0]), atol=1e-6)
    assert f"class {label} (true)" in texts(figure)
    assert figure.get_size_inches()[0] <= PAGE
    named = plot_loss_surface(
        {"a": digits_net()}, image, label, eps=0.3, num_points=3,
        class_names=[f"digit {number}" for number in range(10)],
    )  # fmt: skip
    assert f"digit {label} (true)" in texts(named)


def broken():
    model = keras.models.clone_model(digits_net())
    model.set_weights([np.full_like(w, np.nan) for w in digits_net().get_weights()])
    return model


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": np.zeros((1, 8, 8, 1), np.float32)}, r"shape \(1, 8, 8, 1\)"),
        ({"label": 10}, "labels range from 10"),
        ({"norm": "l0"}, "norm is 'l0'"),
        ({"eps": 8}, "grey levels"),
        ({"extent": 0}, "extent is 0"),
        ({"num_points": 1}, "num_points is 1"),
        ({"attack": attacks.pgd(eps=0.1, norm="l2")}, "a plane in linf"),
        ({"model": broken}, "not finite"),
    ],
)
def test_bad_surfaces(change, message):
    arguments = {"image": digits()[0][0], "label": 3, "eps": 0.1, **change}
    model = arguments.pop("model", digits_net)()
    with pytest.raises(ValueError, match=message):
        loss_surface(model, **arguments)
    with pytest.raises(ValueError, match="no models"):
        plot_loss_surface({}, digits()[0][0], 3, eps=0.1)


def measures(n=60, scale=1.0):
    generator = np.random.default_rng(0)
    a = generator.uniform(size=n)
    measured = a + 0.1 * generator.uniform(size=n)
    return {
        "alignment": scale * a,
        "linearized": measured,
        "bound": 1 + a,
        "measured": measured,
    }


def test_alignment_shows_correlation_and_means():
    found = measures()
    found["measured"][5] = np.inf
    figure = plot_alignment({"IGAM": found, "Masked": measures(scale=1e-7)})
    shown = texts(figure)
    assert "vanishes for every image" in shown and "r = 1.00,  ρ = 1.00" in shown
    kept = np.isfinite(found["measured"])
    r = np.corrcoef(found["alignment"][kept], found["measured"][kept])[0, 1]
    assert any(text.startswith(f"r = {r:.2f}") for text in shown)
    dots, means = figure.axes[0].lines
    assert len(dots.get_xdata()) == 59 and len(means.get_xdata()) == 6
    assert (np.diff(means.get_ydata()) > 0).all()
    assert len(figure.axes) == 4


def test_means_of_bins_by_hand():
    a, b = binned_means(np.array([3.0, 1, 2, 4]), np.array([30.0, 10, 20, 50]), 2)
    np.testing.assert_allclose((a, b), [[1.5, 3.5], [15, 40]])
    assert len(binned_means(np.arange(3.0), np.arange(3.0), 6)[0]) == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"measures": {}}, "no models"),
        ({"against": ("beta",)}, "'beta'"),
        ({"measures": {"a": {"alignment": [1], "measured": [np.inf]}}}, "finite"),
    ],
)
def test_bad_alignment(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_alignment(**{"measures": {"a": measures()}, **arguments})


def test_clean_and_attacked_are_told_apart_in_grey():
    """Bars beside each other differ in lightness, printed without colour too."""
    grey = [np.dot(to_rgb(colour), [0.299, 0.587, 0.114]) for colour in PALETTE[:2]]
    assert abs(grey[0] - grey[1]) > 0.2
