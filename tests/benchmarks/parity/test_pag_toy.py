"""The toy of the PAG paper: 583 of 600 points withstand the attack, against 35."""

import importlib.util
import pathlib

import matplotlib
import pytest
from small_models import shifted

TOY = pathlib.Path(__file__).resolve().parents[3] / "benchmarks/parity/pag_toy.py"


@pytest.fixture(scope="module")
def toy():
    spec = importlib.util.spec_from_file_location("pag_toy", TOY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_aligned_gradients_keep_a_network_on_the_line(toy):
    seed = shifted(0)
    networks = {
        name: toy.trained(aligned=name == "PAG", seed=seed) for name in ("plain", "PAG")
    }
    counts = {name: toy.correct(model, seed=seed) for name, model in networks.items()}
    assert counts["plain"]["points"] == 600
    # Over seven seeds 500 to 600 and 600 clean; 21 to 300 and 514 to 597 attacked.
    assert counts["plain"]["clean"] > 400 and counts["PAG"]["clean"] > 590
    assert counts["PAG"]["attacked"] > 400
    assert counts["PAG"]["attacked"] > counts["plain"]["attacked"] + 100
    matplotlib.use("Agg")
    figure = toy.figure(networks, seed=seed)
    assert [f"{counts[n]['attacked']} of 600" in axis.get_title()
            for n, axis in zip(networks, figure.axes)] == [True, True]  # fmt: skip


def test_points_lie_on_the_line(toy):
    split = toy.points(10, seed=3)
    x1, x2 = (split.images.reshape(-1, 2) - 0.5).T
    assert abs(x2 - 2 * x1).max() < 1e-6
    assert len(split) == 60 and split.labels.mean() == 0.5
