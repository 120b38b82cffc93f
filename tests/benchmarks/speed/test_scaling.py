"""Slopes and the model of many devices, by hand; nothing is timed."""

import pytest

from benchmarks.speed import replicas, scaling, scaling_model, timing

pytestmark = pytest.mark.fast


def test_slopes_of_powers():
    sizes = (1, 2, 4, 8)
    assert scaling.slope(sizes, [3 * n**1.5 for n in sizes]) == pytest.approx(1.5)
    assert scaling.last_slope(sizes, [1, 1, 1, 2]) == pytest.approx(1.0)
    header, rows = scaling.rows_of("width", (1, 2), [0.5, 1.5], [10.0, 20.0], "GFLOP")
    assert header[:2] == ["width", "GFLOP"]
    # Three times the seconds for twice the work.
    assert rows == [[1, "10", "0.5000", "1.00"], [2, "20", "1.5000", "1.50"]]


def test_every_axis_varies_from_the_base():
    assert set(scaling.AXES) == set(scaling.BASE)
    for axis, value in scaling.BASE.items():
        assert value in scaling.AXES[axis]


STEP = scaling_model.Step(operations=2e9, student_bytes=8e6, discriminator_bytes=4e6)
DEVICES = scaling_model.Devices(
    speed=1e12, near=4e9, far=1e9, near_latency=1e-4, far_latency=1e-3, host=0.01
)


def test_a_latency_and_a_bandwidth_of_two_all_reduces():
    """Of 4 KB and of 4 MB between two workers, in two messages, 1.004 and 5 ms."""
    found = replicas.fitted(2, (1_000, 1_000_000), [1.004e-3, 5e-3])
    assert found == (pytest.approx(0.5e-3), pytest.approx(1e9))


@pytest.mark.parametrize("count", [2, 4])
def test_they_are_those_of_the_model(count):
    seconds = [
        scaling_model.all_reduce(count, 4 * size, DEVICES) for size in replicas.SIZES
    ]
    found = replicas.fitted(count, replicas.SIZES, seconds)
    assert found == (pytest.approx(DEVICES.near_latency), pytest.approx(DEVICES.near))


def test_a_ring_by_hand():
    assert scaling_model.all_reduce(1, 8e6, DEVICES) == 0
    # Four times 2 MB at 4 GB/s, twice for three of the four parts.
    assert scaling_model.all_reduce(4, 8e6, DEVICES) == pytest.approx(6 * (5e-4 + 1e-4))
    # Between machines, 16 parts.
    found = scaling_model.all_reduce(16, 8e6, DEVICES)
    assert found == pytest.approx(30 * (5e-4 + 1e-3))


def test_a_step_by_hand():
    found = scaling_model.parts(4, 5, STEP, DEVICES)
    reduced = 6 * (5e-4 + 1e-4) + 6 * (2.5e-4 + 1e-4) / 5
    expected = {"host": 0.01, "compute": 0.01, "all-reduce": reduced}
    assert found == pytest.approx(expected)
    rows = scaling_model.rows(lambda count: 5, STEP, DEVICES)
    assert rows[0][-1] == "100%" and len(rows) == len(scaling_model.COUNTS)
    # 20 ms alone, 20 ms and the all-reduce with four.
    assert rows[2][-1] == f"{0.02 / (0.02 + reduced):.0%}"
    # The same images in all: four devices compute a quarter each, and wait as long.
    share = scaling_model.rows(lambda count: 20 / count, STEP, DEVICES)
    assert share[2][-1] == f"{0.05 / 4 / (0.02 + reduced):.0%}"


def test_the_page_shows_the_model():
    page = (timing.REPOSITORY / "docs" / "performance.md").read_text()
    step, devices = scaling_model.WIDE_RESNET_32_10, scaling_model.H100
    weak = scaling_model.rows(lambda count: 128, step, devices)
    strong = scaling_model.rows(lambda count: 128 / count, step, devices)
    for count in (8, 16, 64):
        place = scaling_model.COUNTS.index(count)
        seconds = scaling_model.parts(count, 128 / count, step, devices)
        shown = [
            f"{1000 * seconds['all-reduce']:.1f} ms",
            weak[place][-1].replace("%", " %"),
            f"{1000 * seconds['compute']:.1f} ms",
            strong[place][-1].replace("%", " %"),
        ]
        line = next(x for x in page.splitlines() if x.startswith(f"|{count:8d} |"))
        assert [cell.strip() for cell in line.split("|")[2:-1]] == shown
