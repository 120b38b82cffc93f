"""The measuring itself: alternation, ratios, tables, worker processes."""

import sys
import time

import pytest

from benchmarks.speed import timing, workers

pytestmark = pytest.mark.fast


def test_rounds_alternate_and_the_first_does_not_count():
    calls = []
    cases = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    series = timing.alternate(cases, rounds=3)
    assert calls == ["a", "b"] * 4
    assert [len(s.samples) for s in series.values()] == [3, 3]


def test_a_sleep_takes_time_on_the_clock_and_none_of_the_processor():
    series = timing.alternate({"sleep": lambda: time.sleep(0.05)}, rounds=1, per=5)
    (sample,) = series["sleep"].samples
    assert sample.wall >= 0.01
    # Other threads of this process may work meanwhile, but hardly all the time.
    assert sample.cpu < sample.wall / 2


def test_ratio_is_the_median_over_the_rounds():
    def of(*walls):
        return timing.Series([timing.Sample(wall, 2 * wall) for wall in walls])

    # A disturbed round does not move it: (1, 2, 30) / (2, 2, 10) = (0.5, 1, 3).
    assert of(1, 2, 30).ratio(of(2, 2, 10)) == 1
    assert of(1, 2, 30).median("cpu") == 4


def test_table_is_markdown(capsys):
    timing.print_table(["", "s"], [["ours", 1], ["theirs", "10"]])
    wanted = "|        |  s |\n| ------ | -: |\n| ours   |  1 |\n| theirs | 10 |\n\n"
    assert capsys.readouterr().out == wanted


SERVER = """
from benchmarks.speed import workers

def double(number):
    print("to standard output")
    return {"result": 2 * number}

workers.serve({"double": double, "fail": lambda: 1 / 0})
"""


def test_worker_answers_fails_and_ends():
    with workers.Worker([sys.executable, "-c", SERVER]) as worker:
        assert worker.ask("double", number=4)["result"] == 8
        assert 0 < worker.time("double", number=1).wall < 60
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            worker.ask("fail")
        assert worker.ask("double", number=5)["result"] == 10
    with workers.Worker([sys.executable, "-c", "raise SystemExit(3)"]) as worker:
        with pytest.raises(RuntimeError, match="ended with status 3"):
            worker.ask("double", number=4)
