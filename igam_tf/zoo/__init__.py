"""The networks of the recorded tables: what was measured, and how to have them.

    print(igam_tf.zoo.table())
    model = igam_tf.zoo.load("digits_parity_igam")

Small ones travel with the package; of the others `load` says by which command they are
made. `networks/entries.json` is written by `python -m tools.zoo_entries`.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "Entry": "entries",
        "entry": "entries",
        "list": "listing",
        "load": "loading",
        "table": "entries",
    },
)
