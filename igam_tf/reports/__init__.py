"""Reports: tables and figures, made from results and models.

python -m igam_tf.reports RUN_FOLDER
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "format_table": "table",
        "loss_surface": "landscape",
        "plot_alignment": "alignment",
        "plot_bars": "bars",
        "plot_input_gradients": "input_gradients",
        "plot_loss_surface": "surfaces",
        "write_figures": "figures",
    },
)
