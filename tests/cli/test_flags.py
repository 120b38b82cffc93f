"""Flags, recipes, and one real matching step of every recipe at reduced size."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from igam_tf import training
from igam_tf.cli import recipes, run_help
from igam_tf.data import registry
from igam_tf.experiment import networks
from igam_tf.experiment.setup import Setup

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TABLES = sorted((REPOSITORY / "flags").glob("[tf][ai][bg]*[0-9].cfg"))
OTHER_PAPERS = {p for name in ("gradnorm_", "edgereg", "pag_", "methods_")
                for p in (REPOSITORY / "flags").glob(f"{name}*.cfg")}  # fmt: skip
RECIPES = sorted(set((REPOSITORY / "flags").glob("*.cfg")) - set(TABLES) - OTHER_PAPERS)
# Appendix A: experiment -> (lambda_adv, lambda_diff, channels, k, finetune epochs).
APPENDIX_A = {
    "mnist_to_cifar10": (1, 100, (16, 32, 64, 128, 256), 10, 10),
    "tiny_imagenet_to_cifar10_transpose_conv": (1, 10, (8, 16, 32, 64), 5, 6),
    "tiny_imagenet_to_cifar10_random_pad": (1, 10, (8, 16, 32, 64), 5, 6),
    "tiny_imagenet_to_cifar10_pad": (2, 20, (8, 16, 32, 64), 5, 6),
    "tiny_imagenet_to_cifar10": (5, 10, (8, 16, 32, 64), 5, 6),
    "mnist_to_cifar100": (0.1, 200, (16, 32, 64, 128, 256), 5, 10),
    "cifar10_to_cifar100": (2, 10, (16, 32, 64, 128, 256), 10, 6),
    "cifar10_to_tiny_imagenet": (0.1, 200, (8, 16, 32, 64), 5, 5),
    "cifar10_to_tiny_imagenet_crop": (2, 50, (8, 16, 32, 64), 5, 5),
    "cifar100_to_tiny_imagenet": (0.1, 200, (8, 16, 32, 64), 5, 5),
    "cifar100_to_tiny_imagenet_crop": (0.5, 200, (8, 16, 32, 64), 5, 5),
}


def test_every_experiment_of_the_paper_has_a_recipe():
    on_digits = {"quickstart", "few_images"}
    assert {p.stem for p in RECIPES} - on_digits == set(APPENDIX_A)


@pytest.mark.parametrize("name", APPENDIX_A)
def test_recipes_are_those_of_appendix_a(name):
    experiment, changes = recipes.parse([f"--flagfile={REPOSITORY}/flags/{name}.cfg"])
    igam = experiment.settings_of("igam")
    found = (
        igam.adversarial_weight,
        igam.difference_weight,
        experiment.matching.discriminator_channels,
        igam.discriminator_every,
        experiment.finetuning.epochs,
    )
    assert found == APPENDIX_A[name]
    assert (experiment.student.depth, experiment.student.width) == (32, 10)
    assert experiment.training.epochs == 200
    assert experiment.attack.eps == pytest.approx(8 / 255)
    assert changes == []


def test_the_authors_code_is_one_overlay():
    flags = REPOSITORY / "flags"
    recipe = flags / "cifar10_to_cifar100.cfg"
    overlay = flags / "overlays" / "authors_code.cfg"
    experiment, _ = recipes.parse([f"--flagfile={recipe}", f"--flagfile={overlay}"])
    expected = training.reference.arguments()
    start = expected.pop("matching_start") / training.reference.TOTAL_STEPS
    assert experiment.matching.start == start
    flags = experiment.flags()
    assert {name: flags[name] for name in expected} == expected
    assert experiment.training.learning_rate == training.reference.LEARNING_RATE
    evaluation = experiment.evaluation
    assert (evaluation.batch_norm, evaluation.batch_size) == ("batch", 100)


def igam(row):
    return row.experiment.settings_of("igam")


def test_tables_have_the_papers_rows_and_numbers():
    assert [p.stem for p in TABLES] == ["figure5", *(f"table{i}" for i in range(1, 6))]
    tables = {p.stem: recipes.parse([f"--flagfile={p}"])[0] for p in TABLES}
    rows = {name: {row.name: row for row in t.rows} for name, t in tables.items()}
    # Table 2, and that only its transforms tell its students apart.
    assert rows["table2"]["igam-pad"].paper["pgd100"] == 42.5
    assert (
        rows["table2"]["igam-pad"].experiment.finetuning.input_transform == "center_pad"
    )
    assert rows["table2"]["pgd7-trained"].paper["clean"] == 87.25
    assert rows["table3"]["igam-mnist"].experiment.data.source == "mnist"
    assert len(tables["table2"].runs()) == 4 and len(tables["table1"].runs()) == 1
    # Tables 4 and 5: one weight changes, from none to the recipe's.
    weights = [igam(row).difference_weight for row in tables["table4"].rows]
    assert weights == [0, 2.5, 5, 10]
    assert [r.paper["pgd20"] for r in tables["table4"].rows] == [16.0, 16.3, 21.7, 21.7]
    assert [igam(r).adversarial_weight for r in tables["table5"].rows] == [0, 0.5, 1, 2]
    assert list(rows["table5"])[1] == "lambda-adv-0.5"
    assert all(
        row.experiment.student.width == 10 for t in tables.values() for row in t.rows
    )


def test_overlays_change_every_row_of_a_table():
    flags = REPOSITORY / "flags"
    table, _ = recipes.parse([f"--flagfile={flags}/table1.cfg",
                          f"--flagfile={flags}/overlays/authors_code.cfg"])  # fmt: skip
    assert table.name == "table1"
    assert {row.experiment.evaluation.batch_norm for row in table.rows} == {"batch"}


def test_a_file_of_flags_after_the_recipe_wins_over_its_size(tmp_path):
    recipe = f"--flagfile={REPOSITORY / 'flags' / 'mnist_to_cifar10.cfg'}"
    mine = tmp_path / "mine.cfg"
    mine.write_text("--epochs=3\n--size=small\n")
    experiment, changes = recipes.parse([recipe, f"--flagfile={mine}", "--width=2"])
    assert (experiment.training.epochs, experiment.student.width) == (3, 2)
    assert experiment.student.model == "conv_net"
    assert changes == ["size small", "width 2 (recipe: 1)", "epochs 3 (recipe: 10)"]
    # As a recipe it would be cut by its own size, which nothing would show.
    mine.write_text("--source=mnist\n--target=cifar10\n--size=small\n")
    with pytest.raises(ValueError, match="mine.cfg: --size=small stands in the file"):
        recipes.parse([f"--flagfile={mine}"])


@pytest.mark.parametrize(
    "rows", ["", "--table=T\n--row=A: mnist_to_cifar10 --methods=igam\n"]
)
def test_what_a_size_replaces_in_a_file_of_ones_own_is_told(rows, tmp_path):
    mine = tmp_path / "mine.cfg"
    pair = "--source=mnist\n--target=cifar10\n"
    mine.write_text(f"{rows or pair}--epochs=3\n--eps=2/255\n")
    arguments = [f"--flagfile={mine}", "--size=small"]
    with pytest.warns(
        UserWarning, match=r"mine.cfg .*replaces its --epochs=3\. "
    ) as told:
        parsed, _ = recipes.parse(arguments)
    assert len(told) == 1
    experiment = parsed.rows[0].experiment if rows else parsed
    assert experiment.training.epochs == 10
    # What it says to do.
    parsed, _ = recipes.parse([*arguments, "--epochs=3"])
    experiment = parsed.rows[0].experiment if rows else parsed
    assert experiment.training.epochs == 3


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", ["medium", "small", "tiny"])
def test_sizes_cut_every_table(path, size):
    table, _ = recipes.parse([f"--flagfile={path}", f"--size={size}", "--seed=3"])
    assert table.size == size
    for row in table.rows:
        assert row.experiment.training.epochs < 200 and row.experiment.run.seed == 3
        assert row.changes[0] == f"size {size}"


def test_a_size_cuts_a_recipe_and_the_command_line_wins():
    pair = ["--source=cifar10", "--target=cifar100", "--size=tiny"]
    experiment, changes = recipes.parse([*pair, "--epochs=7"])
    assert (experiment.student.width, experiment.training.epochs) == (1, 7)
    assert changes == ["size tiny", "epochs 7 (recipe: 1)"]


@pytest.mark.parametrize("lines, message", [
    (["--row=Standard"], "names no recipe"),
    (["--row=Standard: nowhere --methods=igam"], "names no recipe"),
    (["--row=A: mnist_to_cifar10 --methods=igam", "--paper=1", "--paper=2"], "1 --row"),
    (["--row=A: mnist_to_cifar10 --methods=igam", "--paper=1"], "expected 0 numbers"),
    (["--row=A: mnist_to_cifar10"], "each row of a table names one"),
    (["--row=A {lambda}: mnist_to_cifar10 --methods=igam"], "cannot be filled in"),
    (["--row=A: mnist_to_cifar10 --methods=igam",
      "--row=A: mnist_to_cifar10 --methods=pgd"], "same label"),
    (["--row=A: mnist_to_cifar10 --methods=igam",
      "--row=B: mnist_to_cifar100 --methods=pgd"], "targets"),
])  # fmt: skip
def test_tables_that_make_no_sense(tmp_path, lines, message):
    path = tmp_path / "table.cfg"
    path.write_text("\n".join(["--table=Mine", *lines]))
    with pytest.raises(ValueError, match=message):
        recipes.parse([f"--flagfile={path}"])


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_takes_a_real_step(path):
    small = ["--depth=8", "--width=1", "--teacher_depth=8", "--teacher_width=1",
             "--batch_size=2", "--matching_start=0"]  # fmt: skip
    experiment, _ = recipes.parse([f"--flagfile={path}", *small])
    task = registry.find(experiment.data.target)
    teacher = training.with_new_logits(
        networks.teacher(experiment),
        num_classes=task.num_classes,
        image_shape=task.image_shape,
        input_transform=experiment.finetuning.input_transform,
    )
    student = networks.student(experiment)
    setup = Setup(
        experiment=experiment,
        task=task,
        student=student,
        teacher=teacher,
        total_steps=1,
    )
    method = experiment.settings_of("igam").build(setup)
    # In a graph the number of images is not known.
    shape = tf.TensorSpec([None, *task.image_shape])
    tf.function(teacher).get_concrete_function(shape, training=False)
    before = [v.numpy() for v in student.trainable_variables]
    rng = np.random.default_rng(0)
    images = rng.random((2, *task.image_shape)).astype("float32")
    logs = method.fit(images, np.array([0, 1], "int32"), verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    after = [v.numpy() for v in student.trainable_variables]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "name", ["flags/quickstart.cfg", "quickstart.cfg", "quickstart"]
)
def test_recipes_are_found_where_there_is_no_folder_of_them(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    experiment, changes = recipes.parse([f"--flagfile={name}"])
    assert (experiment.data.target, changes) == ("digits_parity", [])
    own = tmp_path / "flags" / "quickstart.cfg"
    own.parent.mkdir()
    own.write_text("--source=digits\n--target=digits\n")
    if name.startswith("flags/"):
        assert recipes.parse([f"--flagfile={name}"])[0].data.target == "digits"
    with pytest.raises(FileNotFoundError, match="--flagfile=flags/table9.*table3"):
        recipes.parse(["--flagfile=flags/table9.cfg"])


def test_the_pair_picks_its_recipe_and_the_command_line_wins():
    arguments = ["--source=cifar10", "--target=cifar100", "--width=2", "--epochs=3",
                 "--eps=4/255", "--train_examples=100", "--seed=7"]  # fmt: skip
    experiment, changes = recipes.parse(arguments)
    assert experiment.settings_of("igam").adversarial_weight == 2.0
    assert (experiment.student.width, experiment.training.epochs) == (2, 3)
    assert changes == [
        "train_examples 100 (recipe: all)",
        "width 2 (recipe: 10)",
        "epochs 3 (recipe: 200)",
        "eps 0.01569 (recipe: 0.03137)",
    ]
    recipe = f"--flagfile={REPOSITORY}/flags/cifar10_to_cifar100.cfg"
    assert recipes.parse(["--width=2", recipe])[0].student.width == 2
    assert recipes.parse(["--width=2", *recipe.split("=")])[0].student.width == 2


def test_a_file_without_a_pair_is_completed_on_the_command_line(tmp_path):
    (tmp_path / "mine.cfg").write_text("--width=3\n")
    pair = ["--source=mnist", "--target=cifar10"]
    experiment, changes = recipes.parse([f"--flagfile={tmp_path}/mine.cfg", *pair])
    assert experiment.student.width == 3
    assert changes == ["source mnist (recipe: none)", "target cifar10 (recipe: none)"]


@pytest.mark.parametrize("pair, name", [
    (("tiny_imagenet", "cifar10"), "tiny_imagenet_to_cifar10.cfg"),
    (("cifar10", "tiny_imagenet"), "cifar10_to_tiny_imagenet.cfg"),
    (("digits", "digits_parity"), "quickstart.cfg"),
])  # fmt: skip
def test_a_pair_with_several_recipes_has_a_default(pair, name):
    assert recipes.find_recipe(*pair).name == name


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--source and --target"),
        (["--source=cifar", "--target=cifar100"], "--source.*'cifar'.*cifar10"),
        (["--source=mnist", "--target=digits", "--size=tiny"], "no recipe of its own"),
        (["--image_size=9"], "--image_size=9: expected a path, your own images"),
        (["--stream=true"], "--stream=true: expected a path, your own images"),
        (["--source=no/where", "--target=digits"], "--source: no/where does not exist"),
        (["--student_model=wide_resnet", "--depth=9"], "--depth=9.*6 n"),
        (["--student_model=preact_resnet", "--depth=12"], "--depth=12.*10, 18 or 34"),
        (["--epochs=0"], "--epochs=0: expected at least 1"),
        (["--eps=8"], "--eps=8.0: expected at most 1"),
        (["--methods=igan"], "--methods: 'igan'"),
        (["--attacks=pgd"], "--attacks: attack 'pgd'.*pgd20"),
        (["--learning_rate=0"], "more than 0"),
        (["--weight_decay=inf"], "finite"),
        (["--attacks="], "--attacks=.*at least"),
        (["--seed=3000000000"], "--seed=3000000000: expected at most"),
    ],
)
def test_bad_flags(arguments, message):
    if arguments and "--source" not in arguments[0]:
        arguments = ["--source=digits", "--target=digits_parity", *arguments]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        recipes.parse(arguments)


def test_help_names_every_setting_without_importing_tensorflow():
    """What would make it slow: seconds, on any machine."""
    command = [sys.executable, "-X", "importtime", str(REPOSITORY / "run.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "igam_tf" in done.stderr
    assert "tensorflow" not in done.stderr and "keras" not in done.stderr
    for name in ("--source", "--teacher_checkpoint", "download", "matching_start"):
        assert name in done.stdout


def test_help_is_what_the_settings_say():
    """If this fails: python -m igam_tf.cli.run_help"""
    assert run_help.stored() == run_help.rendered()


def test_a_wrong_command_ends_in_one_sentence():
    command = [sys.executable, str(REPOSITORY / "run.py"), "--sorce=digits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ") and "sorce" in done.stderr
    assert "Traceback" not in done.stderr
