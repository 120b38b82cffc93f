"""Reports: tables and figures, made from results and models."""

from igam_tf.reports.input_gradients import plot_input_gradients
from igam_tf.reports.table import format_table

__all__ = ["format_table", "plot_input_gradients"]
