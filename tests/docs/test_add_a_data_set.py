"""The page "Add a data set", followed from its first block to its last."""

import numpy as np
import pages
import tensorflow_datasets as tfds

PAGE = "igam_tf/data/README.md"
SMALLER = (
    (
        "--target=loops --data_dir=data\n```",
        "--target=loops --data_dir=data --nodownload --methods=standard,finetune "
        "--source_train_examples=64 --train_examples=64 --teacher_epochs=1 "
        "--finetune_epochs=1 --baseline_finetune_epochs=1 --epochs=1 --attacks=clean "
        "--eval_examples=20 --panel_examples=0 --run_dir=runs/loops\n```",
    ),
)


def prepare_fashion_mnist(folder):
    """Random images under the name and form of the real data set."""
    generator = np.random.default_rng(0)
    splits = {
        name: [
            (
                i,
                {
                    "image": generator.integers(0, 256, (28, 28, 1), np.uint8),
                    "label": int(generator.integers(10)),
                },
            )
            for i in range(count)
        ]
        for name, count in (("train", 20), ("test", 10))
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name="fashion_mnist",
        version="3.0.1",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        split_datasets=splits,
        data_dir=folder,
    )


def test_page_can_be_followed(tmp_path):
    prepare_fashion_mnist(tmp_path / "data")
    printed = pages.follow(PAGE, tmp_path, smaller=SMALLER)
    assert "loops: 40 batches of (32, 8, 8, 1), labels {" in printed
    assert "fashion_mnist: (None, 28, 28, 1)" in printed
    assert "digits -> loops" in printed
    assert (tmp_path / "runs/loops/standard/student.keras").exists()
