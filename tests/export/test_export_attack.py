"""Exported attacks: the images and accuracies that TensorFlow finds."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import attacks, data, export
from igam_tf.attacks.geometry import image_seeds

BATCH, IMAGES = 16, 40


@pytest.fixture
def digits(tmp_path):
    split = data.read("digits", train_examples=IMAGES).train
    images, labels = split.images, (split.labels % 4).astype("int32")
    if images.dtype == np.uint8:
        images = images.astype("float32") / np.float32(255)
    np.savez(tmp_path / "test.npz", images=images, labels=labels)
    return images, labels


@pytest.fixture
def classifier(make_network, digits):
    """Trained a little, so that there is accuracy to lose."""
    network = make_network()
    network.compile(
        keras.optimizers.Adam(1e-2),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    network.fit(*digits, batch_size=8, epochs=12, verbose=0)
    return network


def attack_in_tensorflow(model, attack, images, labels):
    """By XLA, whose random numbers are others than those of TensorFlow's kernels."""

    @tf.function(jit_compile=True, autograph=False)
    def run(images, labels, seeds):
        return attack.perturb(model, images, labels, seed=seeds)

    seeds = image_seeds(attack.seed, 0, len(images))
    return run(tf.constant(images), tf.constant(labels), tf.constant(seeds)).numpy()


def accuracy(model, images, labels):
    return float(np.mean(np.argmax(model(images), axis=1) == labels))


def test_pgd_finds_what_it_finds_in_tensorflow(classifier, digits, tmp_path, run_jax):
    images, labels = digits
    attack = attacks.pgd(eps=0.15, num_steps=5, num_restarts=2, seed=7)
    batch = (images[:BATCH], labels[:BATCH])
    export.export_attack(classifier, attack, batch, tmp_path / "attack")
    expected = attack_in_tensorflow(classifier, attack, images, labels)

    script = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "import numpy as np\n"
        "from igam_tf.export import runner\n"
        "data, attack = np.load(sys.argv[2]), runner.load(sys.argv[1])\n"
        "images, labels = data['images'], data['labels']\n"
        f"b = slice({BATCH}, 2 * {BATCH})\n"
        f"found = attack.run(images[b], labels[b], first_index={BATCH})\n"
        "np.savez(sys.argv[3], **{k: np.asarray(v) for k, v in found.items()})\n"
    )
    found_at = tmp_path / "found.npz"
    run_jax("-c", script, tmp_path / "attack", tmp_path / "test.npz", found_at)
    found = np.load(found_at)
    part = slice(BATCH, 2 * BATCH)
    same = np.isclose(found["adversarial"], expected[part], atol=1e-4)
    # A sign of a gradient near zero may fall either way.
    assert same.mean() > 0.98
    clean, attacked = classifier(images[part]), classifier(found["adversarial"])
    np.testing.assert_allclose(found["clean_logits"], clean, atol=1e-3)
    np.testing.assert_allclose(found["logits"], attacked, atol=1e-3)
    assert np.abs(found["adversarial"] - images[part]).max() <= 0.15 + 1e-6

    # The whole set, the last batch of which is partial, from the command line.
    arguments = (tmp_path / "attack", f"--data={tmp_path / 'test.npz'}")
    result = json.loads(run_jax("-m", "igam_tf.export.runner", *arguments).stdout)
    assert result["attack"] == repr(attack)
    clean = accuracy(classifier, images, labels)
    assert result["clean"] == pytest.approx(clean, abs=1e-9)
    attacked = accuracy(classifier, expected, labels)
    assert result["attacked"] == pytest.approx(attacked, abs=1.5 / IMAGES)
    assert attacked < clean - 0.1


def test_shapes_and_state_are_checked(classifier, digits, tmp_path, run_jax):
    images, labels = digits
    folder = tmp_path / "clean"
    batch = (images[:BATCH], labels[:BATCH])
    export.export_attack(classifier, None, batch, folder, save_state=False)
    data_flag = f"--data={tmp_path / 'test.npz'}"
    missing = run_jax("-m", "igam_tf.export.runner", folder, data_flag, check=False)
    assert missing.returncode == 1
    assert "state.npz does not exist" in missing.stderr
    np.savez(tmp_path / "other.npz", **{"student/0000": np.zeros([2, 2])})
    other = f"--state={tmp_path / 'other.npz'}"
    refused = run_jax(
        "-m", "igam_tf.export.runner", folder, data_flag, other, check=False
    )
    assert refused.returncode == 1 and "in another shape" in refused.stderr
    with pytest.raises(ValueError, match="fixed size"):
        export.export_attack(classifier, None, (images[:4], labels[:3]), tmp_path / "x")
