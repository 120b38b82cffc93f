"""Reports: tables, figures and a page, made from results and models.

python -m igam_tf.reports RUN_FOLDER
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "AdversarialExamples": "adversarial",
        "TensorBoardLog": "tensorboard",
        "Training": "histories",
        "adversarial_examples": "adversarial",
        "examples_of": "adversarial",
        "format_page": "page",
        "format_table": "table",
        "loss_surface": "landscape",
        "plot_alignment": "alignment",
        "plot_bars": "bars",
        "plot_class_pairs": "class_pairs",
        "plot_curves": "curves",
        "plot_input_gradients": "input_gradients",
        "plot_loss_surface": "surfaces",
        "plot_robustness": "robustness",
        "read_histories": "histories",
        "write_figures": "figures",
        "write_page": "page",
    },
)
