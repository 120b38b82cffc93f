"""Pairs without a recipe of their own, and own data on command lines."""

import numpy as np
import pytest
from PIL import Image

from igam_tf.cli import default_recipes, evaluate, recipes
from igam_tf.data import DatasetInfo
from igam_tf.experiment.folder import default_path

pytestmark = pytest.mark.fast
DEFAULTS = recipes.FLAGS_DIR / "defaults"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("own") / "my photos"
    for label, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (20 + i, 24), (label, 0, 0)).save(root / name / f"{i}.png")
    return root


def test_a_pair_of_own_data_takes_a_default_recipe(photos):
    arguments = ["--source=digits", f"--target={photos}", "--image_size=20"]
    experiment, changes = recipes.parse([*arguments, "--epochs=7"])
    assert changes[0] == (
        "default recipe source_16px + source_few + target_64px + target_few"
    )
    assert changes[1:] == ["epochs 7 (recipe: 100)"]
    assert experiment.network("student") == "conv_net"
    assert experiment.network("teacher") == "small_cnn"
    assert experiment.teacher.epochs == 60
    assert experiment.data.info("target").image_shape == (20, 20, 3)
    assert default_path(experiment).name.startswith("digits_to_my_photos-")


def test_source_and_target_may_have_sizes_of_their_own(photos):
    experiment, changes = recipes.parse([
        f"--source={photos}", f"--target={photos}", "--image_size=96x80",
        "--source_image_size=16", "--augmentation=none",
        "--skip_unreadable"])  # fmt: skip
    assert len(changes) == 1 and experiment.data.skip_unreadable
    assert "source_16px" in changes[0] and "target_224px" in changes[0]
    assert experiment.data.info("source").image_shape == (16, 16, 3)
    assert experiment.data.info("target").image_shape == (96, 80, 3)
    assert not experiment.data.info("target").augmentation.flip


@pytest.mark.parametrize("role", ["source", "target"])
def test_a_size_of_images_does_not_concern_arrays_beside_them(photos, tmp_path, role):
    images = np.zeros((40, 12, 14, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    other = {"source": "target", "target": "source"}[role]
    pair = [f"--{role}={tmp_path}/a.npz", f"--{other}={photos}"]
    asked = [*pair, "--image_size=20", "--center_crop=0.5", "--stream=true"]
    experiment, _ = recipes.parse(asked)
    assert experiment.data.info(role).image_shape == (12, 14, 3)
    assert experiment.data.info(other).image_shape == (20, 20, 3)
    assert experiment.data.info(other).augmentation.resized_crop
    assert experiment.data.own(role)["test_fraction"] == 0.2
    # Asked for of arrays alone it is refused, as before.
    alone = [f"--{role}={tmp_path}/a.npz", f"--{other}=digits", "--image_size=20"]
    with pytest.raises(ValueError, match=f"--{role}: a: --image_size"):
        recipes.parse(alone)
    if role == "source":
        with pytest.raises(ValueError, match="--source: a: --image_size"):
            recipes.parse([*pair, "--image_size=20", "--source_image_size=16"])


def test_sizes_that_differ_name_the_flag_before_anything_is_done(photos):
    with pytest.raises(ValueError, match="--target: my_photos: its 6 images have 3 si"):
        recipes.parse(["--source=digits", f"--target={photos}"])


@pytest.mark.parametrize(
    "side, count, cut, names",
    [
        (16, 1999, 0, ["16px", "few"]),
        (17, 2000, 0, ["64px"]),
        (64, 5000, 100, ["64px", "few"]),
        (65, None, 0, ["224px"]),
        (224, None, 1999, ["224px", "few"]),
    ],
)
def test_default_recipes_go_by_size_and_number(monkeypatch, side, count, cut, names):
    info = DatasetInfo("x", 2, (8, side, 3), train_examples=count)
    monkeypatch.setattr(default_recipes.DataSettings, "known", lambda *_: info)
    given = {"source": "x", "target": "x", "train_examples": cut}
    found = default_recipes.find({**given, "source_train_examples": cut}, DEFAULTS)
    expected = [f"{role}_{name}.cfg" for role in ("source", "target") for name in names]
    assert [path.name for path in found] == expected
    assert all(path.is_file() for path in found)


def test_folders_of_registered_pairs_keep_their_names():
    """Their hash is that of the flags before there were flags of own data."""
    experiment, _ = recipes.parse(["--source=digits", "--target=digits_parity"])
    path = default_path(experiment)
    assert path.name == "digits_to_digits_parity-020f8eed"


def test_evaluate_refuses_own_data_and_their_flags_before_the_model(photos, capsys):
    model = "model.keras"
    assert evaluate.main([model, f"--dataset={photos}"]) == 1
    assert "Pass --image_size=96" in capsys.readouterr().err
    assert evaluate.main([model, "--dataset=digits", "--image_size=9"]) == 1
    assert "--image_size: only for your own images" in capsys.readouterr().err
    assert evaluate.main([model, f"--dataset={photos}/none"]) == 1
    assert "none does not exist; expected a folder" in capsys.readouterr().err


def test_arrays_on_the_command_line(tmp_path):
    x = np.zeros((8, 6, 6), np.uint8)
    x[::2] = 255
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.arange(8) % 2)
    target = f"{tmp_path}/x.npy,{tmp_path}/y.npy"
    experiment, changes = recipes.parse(["--source=digits", f"--target={target}"])
    assert experiment.data.info("target").num_classes == 2
    assert changes[0].endswith("target_16px + target_few")
