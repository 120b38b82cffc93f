"""Exported steps: the same losses as TensorFlow, and the state brought back."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import igam_tf
from igam_tf import attacks, data, export, training
from igam_tf.data import batches
from igam_tf.export import program
from igam_tf.export.variables import named_variables

STEPS, BATCH = 20, 16


@pytest.fixture
def digits(tmp_path):
    """20 batches of real digits: uint8 images, four classes, and their file."""
    split = data.read("digits", train_examples=STEPS * BATCH).train
    images = split.images.reshape(STEPS, BATCH, 8, 8, 1)
    if images.dtype != np.uint8:
        images = np.round(images * 255).astype("uint8")
    labels = (split.labels % 4).reshape(STEPS, BATCH).astype("int32")
    path = tmp_path / "batches.npz"
    np.savez(path, images=images, labels=labels)
    return images, labels, path


def train_in_tensorflow(method, images, labels):
    """The losses of each step, by the function that `fit` calls."""
    method.make_train_function()
    images = images.astype("float32") / np.float32(255)
    iterator = iter(tf.data.Dataset.from_tensor_slices((images, labels)))
    history = []
    for _ in images:
        method.reset_metrics()
        logs = method.train_function(iterator)
        history.append({name: float(value) for name, value in logs.items()})
    return history


def compare(steps, history, first=1e-4, later=1e-2):
    for index, (step, expected) in enumerate(zip(steps, history, strict=True)):
        # The first steps of both phases, before rounding has grown.
        tolerance = first if index < 5 else later
        assert set(step["losses"]) == set(expected)
        for name, value in expected.items():
            got = step["losses"][name]
            assert got == pytest.approx(value, rel=tolerance, abs=1e-4), (index, name)


def test_igam_trains_as_in_tensorflow(make_igam, digits, tmp_path, run_exported):
    images, labels, path = digits
    method = make_igam()
    before = {n: v.numpy() for n, v in named_variables(method).items()}
    igam_tf.export_step(method, (images[0], labels[0]), tmp_path / "step")
    steps = run_exported(tmp_path / "step", path, tmp_path / "trained.npz")

    # Phases and discriminator steps are those of matching_start=3, every second step.
    assert [s["phase"] for s in steps] == ["plain"] * 3 + ["matching"] * 17
    assert [i for i, s in enumerate(steps) if s["second"]] == list(range(4, 20, 2))

    restored = export.import_state(make_igam(seed=8), tmp_path / "trained.npz")
    history = train_in_tensorflow(method, images, labels)
    compare(steps, history)
    assert {"adversarial", "difference", "accuracy"} <= set(history[-1])

    trained = named_variables(method)
    for name, variable in named_variables(restored).items():
        if name.startswith("method/"):  # Keras' metrics
            continue
        np.testing.assert_allclose(
            variable.numpy(), trained[name].numpy(), rtol=0.02, atol=2e-3, err_msg=name
        )
    moved = {
        n.split("/")[0] for n, v in trained.items() if np.any(v.numpy() != before[n])
    }
    assert {"student", "discriminator", "discriminator_optimizer"} <= moved
    assert "teacher" not in moved
    assert int(restored.optimizer.iterations) == STEPS

    restored.student.save(tmp_path / "student.keras")
    student = keras.models.load_model(tmp_path / "student.keras")
    inputs = images[0].astype("float32") / 255
    np.testing.assert_allclose(
        student(inputs), method.student(inputs), rtol=0.05, atol=0.02
    )


def test_attack_and_augmentation_are_inside_of_the_step(
    make_network, digits, tmp_path, run_exported
):
    images, labels, path = digits
    attack = attacks.pgd(eps=0.1, num_steps=2)
    augmentation = data.Augmentation(pad=1, flip=True, noise=8 / 255)
    method = training.AdversarialTraining(make_network(), attack, seed=5)
    method.compile(keras.optimizers.Adam(1e-2), jit_compile=True)
    # Before the export: it moves the moving statistics.
    logits = method.student(images[0] / np.float32(255), training=True)
    plain = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[0], logits)
    specs = tf.TensorSpec([BATCH, 8, 8, 1], tf.uint8), tf.TensorSpec([BATCH], tf.int64)
    export.export_step(method, specs, tmp_path / "step", augmentation=augmentation)
    steps = run_exported(tmp_path / "step", path, tmp_path / "trained.npz")

    @tf.function(jit_compile=True, autograph=False)
    def reference(images, labels, step):
        key = tf.stack([tf.constant(5, tf.int64), step])
        augmented = batches.augmented(images, key, augmentation)
        (report, _, _), _ = method.train_step((augmented, labels), step)
        return report["loss"][0]

    losses = [s["losses"]["loss"] for s in steps]
    expected = [
        float(reference(images[i], labels[i], tf.constant(i, tf.int64)))
        for i in range(STEPS)
    ]
    assert losses[0] == pytest.approx(expected[0], rel=1e-4)
    # Later steps: signs of gradients near zero may fall either way.
    np.testing.assert_allclose(losses, expected, rtol=0.1)
    # Neither attack nor augmentation was left out.
    assert losses[0] > np.mean(plain) + 0.05


def test_bfloat16_step(make_igam, digits, tmp_path, run_exported):
    images, labels, path = digits
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        method = make_igam(matching_start=2)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    export.export_step(method, (images[0], labels[0]), tmp_path / "step")
    steps = run_exported(tmp_path / "step", path, tmp_path / "trained.npz")
    losses = [s["losses"] for s in steps]
    assert all(np.isfinite(list(one.values())).all() for one in losses)
    assert steps[2]["phase"] == "matching"
    # The same initial weights in float32: close, but not equal.
    student = make_igam().student
    logits = student(images[0] / np.float32(255), training=True)
    in_float32 = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[0], logits)
    expected = np.mean(in_float32)
    assert losses[0]["cross_entropy"] == pytest.approx(expected, rel=0.02)
    assert losses[0]["cross_entropy"] != pytest.approx(expected, rel=1e-6)
    assert np.mean([one["cross_entropy"] for one in losses[-5:]]) < expected - 0.1


def test_programs_target_an_old_stablehlo(make_igam, digits, tmp_path):
    images, labels, _ = digits
    method, batch = make_igam(), (images[0], labels[0])
    export.export_step(method, batch, tmp_path / "a", save_state=False)
    export.export_step(
        method, batch, tmp_path / "b", save_state=False, stablehlo_version="1.9.0"
    )
    versions = {"a": b"StableHLO_v1.0.0", "b": b"StableHLO_v1.9.0"}
    for folder, version in versions.items():
        names = {path.name for path in (tmp_path / folder).iterdir()}
        programs = {"plain", "matching", "second_update", "schedule"}
        assert names == {"manifest.json", *(f"{n}.stablehlo" for n in programs)}
        for name in programs:
            artifact = (tmp_path / folder / f"{name}.stablehlo").read_bytes()
            assert artifact[5:21] == version


def test_manifest_pairs_arguments_and_results(make_igam, digits, tmp_path):
    images, labels, _ = digits
    export.export_step(make_igam(), (images[0], labels[0]), tmp_path / "step")
    manifest = json.loads((tmp_path / "step" / "manifest.json").read_text())
    state = np.load(tmp_path / "step" / "state.npz")
    assert set(state.files) == set(manifest["variables"])
    updated = set()
    for entry in manifest["programs"].values():
        for result in entry["results"]:
            if "updates" in result:
                argument = entry["arguments"][result["updates"]]
                assert argument["name"] == result["name"]
                assert argument["shape"] == result["shape"]
                assert list(state[result["name"]].shape) == result["shape"]
                updated.add(result["name"])
    # Plain training touches neither of the other two networks.
    arguments = manifest["programs"]["plain"]["arguments"]
    parts = {argument["name"].split("/")[0] for argument in arguments}
    assert parts == {"images", "labels", "step", "student", "optimizer"}
    parts = {name.split("/")[0] for name in updated}
    optimizers = {"optimizer", "discriminator_optimizer"}
    assert parts == {"student", "discriminator", *optimizers}


def test_state_comes_back(make_igam, digits, tmp_path):
    images, labels, _ = digits
    method, other = make_igam(), make_igam(seed=4)
    export.export_step(method, (images[0], labels[0]), tmp_path / "step")
    assert np.any(method.student.get_weights()[0] != other.student.get_weights()[0])
    export.import_state(other, tmp_path / "step")
    student = make_igam(seed=5).student
    export.import_state(student, tmp_path / "step")
    pairs = (
        (method.student, other.student),
        (method.teacher, other.teacher),
        (method.student, student),
    )
    for ours, theirs in pairs:
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_state_of_other_networks_is_refused(make_igam, make_network, digits, tmp_path):
    images, labels, _ = digits
    export.export_step(make_igam(), (images[0], labels[0]), tmp_path / "step")
    other = make_network(num_classes=7)
    before = [w.copy() for w in other.get_weights()]
    with pytest.raises(ValueError, match="does not have"):
        export.import_state(other, tmp_path / "step")
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(FileNotFoundError, match="state.npz"):
        export.import_state(other, tmp_path / "nowhere")


@pytest.mark.fast
def test_what_cannot_be_exported(make_igam, make_network, digits, tmp_path):
    images, labels, _ = digits
    batch = (images[0], labels[0])
    with pytest.raises(ValueError, match="not compiled"):
        method = training.StandardTraining(make_network())
        export.export_step(method, batch, tmp_path / "step")
    with pytest.raises(ValueError, match="training method"):
        export.export_step(make_network(), batch, tmp_path / "step")
    method = make_igam()
    unknown = (tf.TensorSpec([None, 8, 8, 1]), tf.TensorSpec([None], tf.int32))
    with pytest.raises(ValueError, match="fixed size"):
        export.export_step(method, unknown, tmp_path / "step")
    with pytest.raises(ValueError, match="uint8"):
        wide = images[0].astype("int32")
        export.export_step(method, (wide, labels[0]), tmp_path / "step")
    with pytest.raises(FileExistsError, match="overwrites nothing"):
        export.export_step(method, batch, tmp_path)
    assert not (tmp_path / "step").exists()


@pytest.mark.fast
def test_changed_lowering_is_noticed():
    arguments = [{"name": "a", "shape": [2], "dtype": "float32"}]
    body = "func.func @main(%arg0: tensor<3xf32>) -> tensor<3xf32> {\n"
    with pytest.raises(ValueError, match="lowers functions in another way"):
        program._check_signature(body, arguments, arguments)
    program._check_signature(body.replace("3x", "2x"), arguments, arguments)
