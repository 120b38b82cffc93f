"""A folder with one sub-folder a class, with `train/` and `test/` inside or without."""

import collections
import pathlib
import re
import warnings

import numpy as np

from igam_tf.data.own import describing, pictures, splits
from igam_tf.data.own.listing import Files, Listing
from igam_tf.data.own.names import SPLITS, TEST, TRAIN
from igam_tf.data.own.options import Options

_IGNORED = (".", "__MACOSX")
# What folders of splits are called here and elsewhere: training_set, test_images, dev.
_LIKE_A_SPLIT = re.compile(
    rf"({'|'.join((*SPLITS, 'eval', 'evaluation', 'dev'))})"
    r"([ _-]?(set|split|data|dataset|dir|folder|images?))?"
)


def listing(name: str, root: pathlib.Path, options: Options) -> Listing:
    """The images of a folder.

    Args:
        name: short name, for errors.
        root: the folder.
        options: `Options`.

    Raises:
        ValueError: if there are fewer than two classes, an empty one, or other classes
            to test on than to train on.
        OSError: if it cannot be read.
    """
    inside = _folders(root)
    train = next((f for f in inside if f.name.lower() in TRAIN), None)
    _check_names_of_splits(name, root, inside)
    if train is None:
        return _split(name, root, options)
    tests = [f for kind in TEST for f in inside if f.name.lower() == kind]
    if not tests:
        return _split(name, train, options)
    found = {}
    for part, folder in (("train", train), ("test", tests[0])):
        found[part] = _classes(f"{name}/{folder.name}", root, folder)
    describing.check_same_classes(name, *found.values())
    describing.check_classes(name, list(found["train"]))
    _warn_of_numbers(name, list(found["train"]))
    files = {}
    for part, classes in found.items():
        paths, labels = _flat(classes)
        order = splits.spread(labels, paths, seed=options.split_seed)
        files[part] = Files([paths[i] for i in order], labels[order])
    return Listing(
        name, root, list(found["train"]), files["train"], files["test"], options
    )


def _check_names_of_splits(name, root, inside):
    """Folders that were meant as splits become neither classes nor nothing."""
    like = [f for f in inside if _LIKE_A_SPLIT.fullmatch(f.name.lower())]
    has_train = any(f.name.lower() in TRAIN for f in inside)
    has_test = any(f.name.lower() in TEST for f in inside)
    if len(inside) < 2 or (has_train and (has_test or len(like) == 1)):
        return
    if not has_train and len(like) < len(inside):
        return
    if all(len(_folders(folder)) >= 2 for folder in like):
        raise ValueError(
            f"{name}: {root} has the sub-folders "
            f"{describing.shown([f.name for f in like])}, which are named like splits "
            "and have sub-folders themselves. Expected train/ and test/ (or val/) with "
            "a sub-folder for each class: rename them, or pass one of them alone."
        )


def _split(name, folder, options):
    """One level of classes, part of whose images is tested on."""
    classes = _classes(name, folder, folder)
    describing.check_classes(name, list(classes), _about_one(folder, classes))
    _warn_of_numbers(name, list(classes))
    paths, labels = _flat(classes)
    # Keys within the folder of the classes: a copy elsewhere has the same test images,
    # and so has train/ alone, given as it is or by the folder around it.
    parts = splits.asked_for(name, labels, paths, list(classes), options)
    train, test = (Files([paths[i] for i in part], labels[part]) for part in parts)
    return Listing(name, folder, list(classes), train, test, options)


def _warn_of_numbers(name, class_names):
    """Says so where class 10 comes before class 2."""
    if not all(class_name.isdecimal() for class_name in class_names):
        return
    by_value = sorted(class_names, key=int)
    if by_value != class_names:
        place = next(i for i, n in enumerate(by_value) if class_names[i] != n)
        warnings.warn(
            f"{name}: the names of the classes are numbers, and sorted as text: class "
            f"{place} is {class_names[place]!r}, not {by_value[place]!r}. Where labels "
            "of elsewhere (a model's, a table's) are sorted by value, rename the "
            "folders with zeros in front: 02, 10.",
            stacklevel=2,
        )


def _classes(name, root, folder):
    """Class name -> paths of its images below the root; in sorted order."""
    loose = [path.name for path in _entries(folder) if _is_image(path)]
    found = {path.name: _images(root, path) for path in _folders(folder)}
    if not found:
        what = f"{len(loose)} images and no sub-folders" if loose else "no sub-folders"
        raise ValueError(
            f"{name}: {folder} has {what}; expected one sub-folder a class with its "
            "images, or train/ and test/ with such sub-folders."
        )
    if loose:
        raise ValueError(
            f"{name}: {len(loose)} images lie beside the folders of the classes "
            f"({describing.shown(loose)}); move them into one, or away."
        )
    for class_name, images in found.items():
        if not images:
            others = collections.Counter(
                path.suffix.lower() or path.name
                for path in (folder / class_name).rglob("*")
                if path.is_file() and not _is_hidden(path.relative_to(folder))
            )
            has = ", ".join(f"{n} {kind}" for kind, n in others.most_common(3))
            raise ValueError(
                f"{name}: the class {class_name!r} has no image: {folder / class_name} "
                f"{'holds ' + has if has else 'is empty'}. Expected "
                f"{pictures.FORMATS}: add some, or remove the folder."
            )
    return found


def _about_one(folder, classes):
    """Where a single class looks as if classes were one level below, says so."""
    for class_name in classes:
        if class_name.lower() in TEST:
            return (
                f"Expected train/ beside {class_name}/; to evaluate only, pass "
                f"{folder / class_name} with --test_fraction=1 (test_fraction=1)."
            )
        below = _folders(folder / class_name)
        if len(below) > 1:
            names = describing.shown([path.name for path in below])
            return (
                f"Its sub-folders {names} look like classes: pass "
                f"{folder / class_name}."
            )
    return "Images of each class go into a sub-folder of its own."


def _flat(classes):
    paths = [path for of_class in classes.values() for path in of_class]
    counts = [len(of_class) for of_class in classes.values()]
    return paths, np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _images(root, folder):
    return sorted(
        path.relative_to(root).as_posix()
        for path in folder.rglob("*")
        if not _is_hidden(path.relative_to(folder)) and _is_image(path)
    )


def _is_hidden(path):
    """Whether a file, or a folder that it is in, is: copies lie in such folders."""
    return any(part.startswith(_IGNORED) for part in path.parts)


def _is_image(path):
    return path.suffix.lower() in pictures.SUFFIXES and path.is_file()


def _folders(folder):
    return sorted(path for path in _entries(folder) if path.is_dir())


def _entries(folder):
    return [p for p in folder.iterdir() if not p.name.startswith(_IGNORED)]
