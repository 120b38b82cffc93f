"""Packaging of igam_tf."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "(.+)"', (HERE / "igam_tf" / "__init__.py").read_text(), re.M
)[1]

setup(
    name="igam_tf",
    version=VERSION,
    description="Robust classifiers through input gradients, for Keras and "
    "TensorFlow 2",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    author="the igam_tf authors",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["adversarial robustness", "input gradients", "robustness transfer"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    # The recipes travel with the package: `igam-tf run --source=... --target=...` finds
    # them without a checkout.
    packages=[*find_packages(include=["igam_tf", "igam_tf.*"]), "igam_tf.flags"],
    package_dir={"igam_tf.flags": "flags"},
    package_data={
        "igam_tf": ["py.typed"],
        "igam_tf.cli": ["run_help.txt"],
        "igam_tf.reports.page": ["page.css"],
        "igam_tf.zoo": ["networks/*.json", "networks/*.keras"],
        "igam_tf.flags": ["*.cfg", "*/*.cfg", "*/*/*.cfg"],
    },
    entry_points={"console_scripts": ["igam-tf = igam_tf.cli.main:main"]},
    python_requires=">=3.11",
    # The lower bounds install together, and tests/test_compat.py passes with them and
    # with the newest. Keras and TensorFlow end before the next minor release: we use
    # private names of theirs (igam_tf/compat), and a function in place of one that
    # Keras' layers call (igam_tf/derivatives/moments.py). The others end before the
    # next major one.
    install_requires=[
        "absl-py>=1.4,<3",
        "keras>=3.15,<3.16",
        "numpy>=2.0,<3",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10,<5",
        # tensorflow-datasets imports it and does not declare it.
        "importlib_resources>=6",
        # The digits of the quickstart: real images inside a package, no download.
        "scikit-learn>=1.5,<2",
        # The exact tests that compare two models; scikit-learn brings it.
        "scipy>=1.13,<2",
        # Figures, and through its Pillow the pictures of the page of a run.
        "matplotlib>=3.9,<4",
        # Image files of one's own: WebP, CMYK, EXIF, and sizes without decoding;
        # matplotlib brings it.
        "pillow>=10.3",
    ],
    extras_require={
        # NVIDIA's CUDA libraries in the versions that this TensorFlow was built with;
        # without them it trains on the CPU, whatever is in the machine.
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        # Runs exported steps (igam_tf.export.runner); on a machine that trains with
        # them only, install JAX and NumPy and put this package on the path, without
        # TensorFlow.
        "jax": ["jax>=0.5"],
        # The site of docs/, with a reference from the docstrings, which is read from
        # the source without importing TensorFlow.
        "docs": ["mkdocs-material>=9.7,<10", "mkdocstrings[python]>=1,<2"],
        # pytest-xdist: two test processes at once. nbclient and ipykernel execute the
        # notebooks. JAX runs exported steps.
        "tests": [
            "pytest",
            "pytest-xdist",
            "nbclient",
            "nbformat",
            "ipykernel",
            "jax>=0.5",
        ],
        # What .ci/run checks beside the tests; one version of each, so that it decides
        # the same everywhere.
        "dev": ["ruff==0.17.6", "mypy==2.4.1", "pre-commit>=4"],
        # igam_tf.load("hf://OWNER/NAME"): models that others have shared.
        "hub": ["huggingface_hub>=0.34"],
        # `run.py --tensorboard`, and `igam_tf.reports.TensorBoardLog`.
        "tensorboard": ["tensorboard>=2.20"],
        # Only for igam_tf.adapters, which hands our models to these attack libraries.
        "foolbox": ["foolbox>=3.3.4"],
        "art": ["adversarial-robustness-toolbox>=1.20"],
    },
)
