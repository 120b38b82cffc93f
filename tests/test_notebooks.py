"""Every notebook runs from top to bottom, and is kept with its outputs."""

import pathlib

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))

# What is run in place of the values in a notebook's cell with the tag "parameters".
TINY = {
    "bring_your_own_teacher": """
        TEACHER_EPOCHS = FINETUNE_EPOCHS = EPOCHS = 1
        TEST_IMAGES, PANEL = 20, False
    """,
    "choose_a_method": """
        TEACHER_EPOCHS = FINETUNE_EPOCHS = EPOCHS = TOY_EPOCHS = 1
        TEST_IMAGES, PANEL, AUTOATTACK_IMAGES, AUTOATTACK = 20, False, 20, "fgsm"
    """,
    "input_gradients_and_landscapes": """
        TEACHER_EPOCHS = FINETUNE_EPOCHS = EPOCHS = 1
        TEST_IMAGES = ALIGNED_IMAGES = 20
        GRID = 7
    """,
    "quickstart": """
        TEACHER_EPOCHS = FINETUNE_EPOCHS = 1
        EPOCHS, PANEL = 4, False
    """,
}

# Then two batches an epoch, and one to evaluate on, in steps that are not traced: fewer
# than tracing takes as long as.
TWO_BATCHES = """
import tensorflow as tf

def two_batches(*args, load=igam_tf.data.load, **kwargs):
    train, test = load(*args, **kwargs)
    return train.take(2), test.take(1)

igam_tf.data.load = two_batches
tf.config.run_functions_eagerly(True)
"""
# But for what takes many steps all the same.
TRACED = "tf.config.run_functions_eagerly(False)"
MANY_STEPS = ("pag_toy.trained", "measure_alignment")


def make_tiny(cells, assignments):
    """Replaces the values of the cell "parameters"; it must have the same names."""
    tagged = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1, "one cell has the tag 'parameters'"
    assignments = "\n".join(line.strip() for line in assignments.strip().splitlines())
    own, ours = {}, {}
    exec(tagged[0].source, {}, own)
    exec(assignments, {}, ours)
    assert own.keys() == ours.keys()
    tagged[0].source = assignments


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    """Name and cells of a notebook as it is kept."""
    nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[tests]'")
    return request.param.stem, nbformat.read(request.param, as_version=4)


def test_notebook_is_kept_with_its_outputs(notebook):
    _, kept = notebook
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    for cell in code:
        assert not any(out.output_type == "error" for out in cell.outputs)
        if "print(" in cell.source:
            assert any(out.output_type == "stream" for out in cell.outputs), cell.source
        last = cell.source.strip().splitlines()[-1]
        if ".plot_" in last or ".figure(" in last:
            found = [out.get("data", {}).get("image/png") for out in cell.outputs]
            # One, and of 10 kB of base64: a picture, not an empty frame.
            assert [len(picture) > 10_000 for picture in found if picture] == [True]
    # Run once from top to bottom, and saved.
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_notebook_runs(notebook, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[tests]'")
    import nbformat

    name, kept = notebook
    make_tiny(kept.cells, TINY[name])
    cells = []
    for cell in kept.cells:
        if any(name in cell.source for name in MANY_STEPS):
            cells.append(nbformat.v4.new_code_cell(TRACED))
        cells.append(cell)
        if "parameters" in cell.metadata.get("tags", []):
            cells.append(nbformat.v4.new_code_cell(TWO_BATCHES))
    kept.cells = cells
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    nbclient.NotebookClient(
        kept, timeout=600, resources={"metadata": {"path": str(REPOSITORY)}}
    ).execute()


def test_every_notebook_has_its_tiny_size():
    assert TINY.keys() == {path.stem for path in NOTEBOOKS}
