"""ImageNet (ILSVRC 2012) as TFDS prepares it, streamed; its test images are those of
the official validation set, since the others have no labels.
"""

import os
from typing import Any

from igam_tf.data.own.catalog import Catalog
from igam_tf.data.own.names import TFDS
from igam_tf.data.own.options import Options
from igam_tf.data.registry import DatasetInfo
from igam_tf.data.task import Task


def read(info: DatasetInfo, data_dir: str | os.PathLike | None, **kwargs: Any) -> Task:
    """Finds the images; the arguments are those of `igam_tf.data.read`.

    Raises:
        ValueError: if the prepared data are something else; and as `Catalog`.
    """
    folder = None if data_dir is None else os.fspath(data_dir)
    options = Options(image_size=info.image_shape[:2], stream=True)
    found = Catalog(info.name, TFDS + info.name, folder, options)
    if found.info.num_classes != info.num_classes:
        raise ValueError(
            f"{info.name}: {found.info.num_classes} classes are prepared in "
            f"{found.root}; expected {info.num_classes}. Point --data_dir elsewhere."
        )
    return found.read(**kwargs)
