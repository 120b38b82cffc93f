"""Every notebook runs from top to bottom."""

import os
import pathlib

import pytest

NOTEBOOKS = sorted(
    (pathlib.Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb")
)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[tests]'")
    nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[tests]'")
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells if "print(" in cell.source), (
        "notebooks are kept with their outputs; run it once and save it"
    )
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
