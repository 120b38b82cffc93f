"""Pictures of input gradients, and how figures are written."""

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from small_models import digits, digits_net, linear_model

from igam_tf.reports import plot_input_gradients
from igam_tf.reports.input_gradients import scaled_for_display
from igam_tf.reports.style import save_figure


def rows(count=3):
    images, labels = digits()
    return images[:count], labels[:count]


def pictures(figure, num_rows):
    """The arrays shown, as a table of rows and columns; grey ones are (h, w)."""
    shown = [axis.get_images()[0].get_array().data for axis in figure.axes]
    columns = len(shown) // num_rows
    return [shown[i * columns : (i + 1) * columns] for i in range(num_rows)]


def test_scaling_by_hand():
    gradients = np.zeros((2, 1, 4, 1), np.float32)
    gradients[0, 0, :, 0] = [2, -2, 0, 0]
    scaled = scaled_for_display(gradients)
    # The standard deviation is sqrt(2): 2 is sqrt(2) of them, of 3 at the end.
    half = np.sqrt(2) / 6
    np.testing.assert_allclose(scaled[0, 0, :, 0], [0.5 + half, 0.5 - half, 0.5, 0.5])
    np.testing.assert_array_equal(scaled[1], 0.5)
    spike = np.zeros((1, 20, 20, 1), np.float32)
    spike[0, 0, 0] = 1e-20
    assert scaled_for_display(spike)[0, 0, 0, 0] == 1


def test_shows_images_and_gradients():
    model, weights, _ = linear_model(shape=(8, 8, 1))
    images, labels = rows()[0], np.array([0, 1, 0])
    figure = plot_input_gradients(
        {"Standard": digits_net(), "Linear": model}, images, labels
    )
    assert isinstance(figure, Figure)
    titles = [axis.get_title() for axis in figure.axes[:3]]
    assert titles == ["Image", "Standard", "Linear"]
    for row, image, label in zip(pictures(figure, 3), images, labels):
        np.testing.assert_array_equal(row[0], image[..., 0])
        # The loss of a linear model grows towards the other class.
        ascent = (weights[:, 1 - label] - weights[:, label]).reshape(1, 8, 8, 1)
        expected = scaled_for_display(ascent)[0, ..., 0]
        np.testing.assert_allclose(row[2], expected, atol=1e-4)


def test_objective_is_passed_on():
    """The loss rises where the probability of the true class falls."""
    loss = plot_input_gradients({"a": digits_net()}, *rows(1), of="loss")
    probability = plot_input_gradients({"a": digits_net()}, *rows(1), of="probability")
    one, other = (pictures(figure, 1)[0][1] for figure in (loss, probability))
    np.testing.assert_allclose(one, 1 - other, atol=1e-3)


def test_colour_images():
    model, _, _ = linear_model(shape=(8, 8, 3), num_classes=4)
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)
    figure = plot_input_gradients({"a": model}, images, [1, 3])
    assert pictures(figure, 2)[1][1].shape == (8, 8, 3)


@pytest.mark.parametrize(
    "name, written",
    [
        ("new/gradients", ["gradients.pdf", "gradients.png"]),
        ("new/gradients.svg", ["gradients.svg"]),
    ],
)
def test_files(tmp_path, name, written):
    plot_input_gradients({"a": digits_net()}, *rows(1), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert files == written
    for path in (tmp_path / "new").iterdir():
        assert path.stat().st_size > 500


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")

    def fail(self, target, **_):
        target.write_bytes(b"half")
        raise OSError("no room")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="no room"):
        save_figure(Figure(), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


def with_nan():
    model = keras.models.clone_model(digits_net())
    model.set_weights([np.full_like(w, np.nan) for w in digits_net().get_weights()])
    return model


@pytest.mark.parametrize(
    "change, message",
    [
        ({"models": dict}, "no models"),
        ({"images": np.zeros((2, 8, 8), np.float32)}, r"shape \(2, 8, 8\)"),
        ({"images": np.zeros((2, 8, 8, 2), np.float32)}, r"1 channel \(grey\)"),
        ({"models": lambda: {"broken": with_nan()}}, "'broken' is not finite"),
        ({"of": "logit"}, "'logit'"),
        ({"path": "figure.docx"}, "'figure.docx'.*png"),
    ],
)
def test_bad_input(change, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = rows(2)
    arguments = {"images": images, "labels": labels, **change}
    models = arguments.pop("models", lambda: {"a": digits_net()})()
    with pytest.raises(ValueError, match=message):
        plot_input_gradients(models, **arguments)
    assert not list(tmp_path.iterdir())


def test_pyplot_is_left_alone(tmp_path):
    """No figure for a notebook to show twice, and the user's backend as it was."""
    before = matplotlib.rcParams["backend"], plt.get_fignums()
    plot_input_gradients({"a": digits_net()}, *rows(1), tmp_path / "figure")
    assert (matplotlib.rcParams["backend"], plt.get_fignums()) == before
