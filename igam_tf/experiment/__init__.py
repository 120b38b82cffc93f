"""From one frozen `Experiment` to a run folder with students, results and a table."""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "Experiment": "experiment",
        "run": "runner",
        "run_table": "table_run",
    },
)
