"""What a run was made with: versions, machine, and the revision of this package."""

import os
import pathlib
import platform
import subprocess
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import igam_tf


def provenance() -> dict[str, Any]:
    """Versions and git revision, for the results of a run."""
    return {
        "git_revision": git_revision(),
        "versions": {
            "igam_tf": igam_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": {
            "cpus": os.cpu_count(),
            "gpus": len(tf.config.list_physical_devices("GPU")),
        },
    }


def git_revision(file: str = __file__) -> str | None:
    """Revision of this package's checkout; None without git or outside of one.

    A checkout around site-packages that does not track this file is another project's.
    """
    path = pathlib.Path(file)
    if not _git(path.parent, "ls-files", "--error-unmatch", path.name):
        return None
    return _git(path.parent, "describe", "--always", "--dirty") or None


def _git(folder, *arguments):
    """What git prints, or "" where it fails."""
    try:
        found = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
