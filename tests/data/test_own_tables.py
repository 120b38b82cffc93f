"""Tables of paths: spaces, spellings of paths and numbers, splits of other names."""

import pytest
from own_images import labels_by_colour, picture

from igam_tf import data
from igam_tf.data import registry

pytestmark = pytest.mark.fast


def table(folder, *rows, columns="path,label,split"):
    """A table of the images 0.png to 11.png, whose red is ten times their number."""
    for i in range(12):
        picture(folder / f"{i}.png", (10 * (i % 2), i, 0))
    path = folder / "mine.csv"
    path.write_text("\n".join([columns, *rows]))
    return path


def rows(*splits, labels=("cat", "dog")):
    """A row for each of the images, of two classes in turn."""
    return [f"{i}.png,{labels[i % 2]},{split}" for i, split in enumerate(splits)]


def test_spaces_around_values_are_no_part_of_them(tmp_path):
    spaced = rows("train", "train ", " train", "Train", "test", " test ")
    spaced[0], spaced[5] = "0.png , cat,train", " 5.png,dog ,test"
    task = data.read(table(tmp_path, *spaced), progress=False)
    assert task.class_names == ("cat", "dog")
    assert (task.train_total, task.test_total) == (4, 2)
    assert (labels_by_colour(task.train) == task.train.labels).all()


def test_a_split_of_an_unknown_name_is_refused(tmp_path):
    path = table(tmp_path, *rows("train", "train", "test", "test", "unlabelled", ""))
    with pytest.raises(ValueError, match="splits holds '', 'unlabelled'; expected"):
        registry.find(path)


def test_classes_are_those_of_the_splits_that_are_used(tmp_path):
    """With a test split the validation images are left alone, and so is their class."""
    used = rows("train", "train", "test", "test")
    info = registry.find(table(tmp_path, *used, "4.png,bird,val"))
    assert info.class_names == ("cat", "dog")
    task = data.read(tmp_path / "mine.csv", progress=False)
    assert sorted(task.train.labels) == sorted(task.test.labels) == [0, 1]


@pytest.mark.parametrize("other", ["./0.png", "a/../0.png", "{}/0.png"])
def test_one_file_in_two_spellings_is_refused(tmp_path, other):
    other = other.format(tmp_path)
    path = table(tmp_path, *rows("train", "train", "test"), f"{other},dog,test")
    with pytest.raises(ValueError, match="'0.png', .* is there more than once"):
        registry.find(path)


@pytest.mark.parametrize(
    "given, names",
    [
        (["0.0", "2.0", "10.0"], ("0", "2", "10")),
        (["-1", "0", "10"], ("-1", "0", "10")),
        (["0.5", "2", "10"], ("0.5", "2", "10")),
        (["02", "1", "10"], ("1", "02", "10")),
        (["2", "10", "ten"], ("10", "2", "ten")),
    ],
)
def test_labels_that_are_numbers_are_sorted_by_value(tmp_path, given, names):
    lines = [f"{i}.png,{given[i % 3]}" for i in range(12)]
    path = table(tmp_path, *lines, columns="path,label")
    assert registry.find(path).class_names == names
    task = data.read(path, progress=False)
    numbers = [names.index(str(g).removesuffix(".0")) for g in given]
    found = dict(zip(task.train.images[:, 0, 0, 1].tolist(), task.train.labels))
    assert all(label == numbers[i % 3] for i, label in found.items())


def test_one_number_in_two_spellings_is_refused(tmp_path):
    lines = [f"{i}.png,{('1', '1.0', '2')[i % 3]}" for i in range(12)]
    path = table(tmp_path, *lines, columns="path,label")
    with pytest.raises(ValueError, match="labels '1', '1.0' are one number"):
        registry.find(path)
