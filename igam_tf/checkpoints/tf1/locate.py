"""Finds the prefix of a checkpoint in a folder, a file or a zip."""

import contextlib
import os
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Iterator

from igam_tf.checkpoints.archives import unpack
from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.foreign import what_it_is

STATE_FILE = "checkpoint"
KERAS_SUFFIX = ".keras"
#: Names of files of whole Keras models; HDF5 is Keras' earlier format.
KERAS_SUFFIXES = (KERAS_SUFFIX, ".h5", ".hdf5")
_STATE_BYTES = 64 * 1024
_FILE_OF_CHECKPOINT = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
# Where a folder without a checkpoint of its own is searched: not all of a disk.
_WITHIN = ("*/*.index", "*/*/*.index")
_STEP = re.compile(r"-(\d+)$")


@contextlib.contextmanager
def located(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Finds a checkpoint; a zip stays unpacked for the time of the block.

    Args:
        path: a folder (with or without its `checkpoint` state file; or with one such
            folder inside, as zips unpack), a prefix, one of the checkpoint's files, or
            a zip that holds one.

    Yields:
        (prefix, shown): the prefix, such as `models/adv_trained/checkpoint-70000`, and
        what messages call it: the same, or the zip and the prefix inside.

    Raises:
        FileNotFoundError: if there is nothing, or no checkpoint, at the path.
        CheckpointError: if the file is of another kind, or the zip is damaged.
    """
    path = pathlib.Path(path).expanduser()
    if path.suffix in KERAS_SUFFIXES:
        raise CheckpointError(
            f"{path} is a {path.suffix} file, no TF1 checkpoint: load it with "
            "igam_tf.checkpoints.load(path)."
        )
    if path.is_dir() and not _is_prefix_too(path):
        _refuse_foreign(path)
        prefix = _in_folder_or_below(path)
        yield prefix, prefix
    elif path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="igam_tf_") as folder:
            unpack(path, folder, wanted=_belongs_to_checkpoint)
            inside = index_files(pathlib.Path(folder), "**/*.index")
            if not inside:
                _refuse_foreign(path)
                raise CheckpointError(
                    f"{path} holds no TF1 checkpoint (no .index file)."
                )
            prefix = _in_one_of(inside, path)
            yield prefix, f"{path}: {os.path.relpath(prefix, folder)}"
    else:
        prefix = _prefix(path)
        yield prefix, prefix


def step_of(prefix: str | os.PathLike) -> int | None:
    """The training step in a prefix's name, or None."""
    match = _STEP.search(str(prefix))
    return int(match.group(1)) if match else None


def index_files(folder: pathlib.Path, pattern: str = "*.index") -> list[pathlib.Path]:
    """The index files of a folder, without the shadows that macOS puts beside files."""
    return [path for path in folder.glob(pattern) if not _is_shadow(path.name)]


def _is_shadow(name):
    return name.startswith("._")


def _is_prefix_too(folder):
    """Whether a folder without a checkpoint has the name of one beside it."""
    return os.path.lexists(f"{folder}.index") and not index_files(folder)


def _belongs_to_checkpoint(name):
    base = re.split(r"[/\\]", name)[-1]
    if _is_shadow(base):
        return False
    if _FILE_OF_CHECKPOINT.search(base):
        return not base.endswith(".meta")
    return base == STATE_FILE


def _refuse_foreign(path):
    found = what_it_is(path)
    if found is not None:
        raise CheckpointError(f"{path} is no TF1 checkpoint but {found}")


def _prefix(path):
    prefix = _FILE_OF_CHECKPOINT.sub("", str(path))
    if os.path.lexists(prefix + ".index"):
        return prefix
    if os.path.lexists(path):
        _refuse_foreign(path)
        raise CheckpointError(
            f"{path} is no TF1 checkpoint: expected a folder, a prefix, an .index file "
            "or a zip that holds one, or a .keras file."
        )
    raise FileNotFoundError(
        f"no checkpoint at {path}: there is neither a folder nor {prefix}.index. Fetch "
        "MadryLab's with `igam-tf checkpoints fetch cifar10_adv_trained`."
    )


def _in_folder_or_below(folder):
    own = index_files(folder)
    below = [] if own else [i for p in _WITHIN for i in index_files(folder, p)]
    return _in_one_of(below, folder) if below else _in_folder(folder)


def _in_one_of(index_files, path):
    """The prefix in the only folder of these files."""
    folders = sorted({index.parent for index in index_files})
    if len(folders) > 1:
        root = os.path.commonpath(folders)
        names = shortened(os.path.relpath(folder, root) for folder in folders)
        raise CheckpointError(
            f"{path} holds checkpoints in several folders ({names}): pass one of them "
            "(a zip must be unpacked for that)."
        )
    return _in_folder(folders[0])


def _in_folder(folder):
    prefixes = sorted(str(p)[: -len(".index")] for p in index_files(folder))
    if not prefixes:
        found = sorted(p.name for p in folder.iterdir())
        raise FileNotFoundError(
            f"no checkpoint in {folder}: it has no .index file "
            f"({'it holds ' + shortened(found) if found else 'it is empty'})."
        )
    named = _named_by_state_file(folder / STATE_FILE)
    if named is not None:
        prefix = str(folder / named)
        if prefix not in prefixes:
            raise FileNotFoundError(
                f"{folder / STATE_FILE} names {named!r}, and {prefix}.index is "
                "missing; the folder holds "
                f"{shortened(map(os.path.basename, prefixes))}. Pass one of these, or "
                "fetch the folder again."
            )
        return prefix
    if len(prefixes) == 1:
        return prefixes[0]
    steps = {step_of(prefix): prefix for prefix in prefixes}
    if None in steps or len(steps) < len(prefixes):
        raise CheckpointError(
            f"{folder} holds several checkpoints and no {STATE_FILE!r} file that names "
            f"one ({shortened(map(os.path.basename, prefixes))}): pass one of them."
        )
    return steps[max(steps)]


def _named_by_state_file(path):
    """The checkpoint that a state file names, without the training machine's folder."""
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        text = file.read(_STATE_BYTES).decode("utf-8", "replace")
    match = re.search(r'^\s*model_checkpoint_path:\s*"([^"\n\0]*)"', text, re.MULTILINE)
    name = re.split(r"[/\\]", match.group(1))[-1] if match else ""
    return name or None
