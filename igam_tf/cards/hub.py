"""Fetches a model of the Hugging Face hub, by the extra `hub`."""

import pathlib
import re

from igam_tf.cards.sharing import MODEL
from igam_tf.errors import reason

#: What names of the hub begin with.
PREFIX = "hf://"
_NAME = re.compile(
    rf"{PREFIX}(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[^/]+))?(/(?P<file>.+\.keras))?"
)


def fetch(name: str) -> pathlib.Path:
    """Downloads a `.keras` file, or takes it from the cache of `huggingface_hub`.

    Args:
        name: "hf://OWNER/NAME", with "@REVISION" and "/PATH.keras" if wanted; the file
            is `student.keras` if left out.

    Returns:
        Path of the file.

    Raises:
        ValueError: if it is no such name.
        ImportError: if `huggingface_hub` is not installed.
        OSError: if the file cannot be fetched.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(
            f"{name!r}: expected hf://OWNER/NAME, or with a revision and a file "
            "hf://OWNER/NAME@REVISION/PATH.keras."
        )
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{name} needs the package huggingface_hub, which is not installed: "
            "pip install 'igam_tf[hub]'."
        ) from error
    file = parts["file"] or MODEL
    try:
        return pathlib.Path(
            huggingface_hub.hf_hub_download(
                parts["repo"], file, revision=parts["revision"]
            )
        )
    # Its errors have no base of their own that all its versions share.
    except Exception as error:
        raise OSError(
            f"{name}: {file} could not be fetched ({type(error).__name__}: "
            f"{reason(error)}). Check the name, the network and, of a private "
            "repository, `hf auth login`."
        ) from error
