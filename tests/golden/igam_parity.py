"""Runs our IGAM from the golden checkpoint and compares with the authors' graph.

Run by `test_igam_parity.py` in processes of its own, for the reasons given in
`tests/checkpoints/golden_parity.py`, and because the precision is global:

    python tests/golden/igam_parity.py SHARED_FOLDER probability|loss|float64

prints a JSON object of differences: the largest absolute one over the largest absolute
value of the golden array, and the worst of a group of variables.
"""

import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

import igam_tf
from igam_tf import checkpoints
from igam_tf.checkpoints.tf1.names import model_rows
from igam_tf.training import Momentum, reference

PARTS = ("student", "teacher", "discriminator")
BATCH = 8
WEIGHT_DECAY = 2e-4


def relative(ours, golden):
    ours, golden = np.asarray(ours), np.asarray(golden)
    return float(np.abs(ours - golden).max() / np.abs(golden).max())


class Differences(dict):
    """Keeps the worst of what is added under one name."""

    def add(self, name, ours, golden):
        self[name] = max(self.get(name, 0.0), relative(ours, golden))

    def add_weights(self, name, found, golden, *, trainable):
        """Compares dicts by name; biases before batch norm absolutely.

        Their gradient is rounding noise: the norm removes what they add.
        """
        num = 0
        for key, ours in found.items():
            if key not in golden or ("/moving_" in key) == trainable:
                continue
            num += 1
            if key.startswith("discriminator/conv") and key.endswith("/biases"):
                worst = float(np.abs(ours - golden[key]).max())
                biases = f"{name}: biases before batch norm"
                self[biases] = max(self.get(biases, 0.0), worst)
            else:
                self.add(name, ours, golden[key])
        if num:
            self[f"{name}: number"] = self.get(f"{name}: number", 0) + num


class Run:
    """Compiled IGAM of the networks of the golden checkpoint, and its batches."""

    def __init__(self, folder, **arguments):
        heads = {"teacher": "target"}
        self.networks = {
            part: checkpoints.load(folder, part=part, head=heads.get(part))
            for part in PARTS
        }
        # The golden steps begin at the adversarial phase.
        arguments = {**reference.arguments(), "matching_start": 0, **arguments}
        self.method = igam_tf.IGAM(*self.networks.values(), **arguments)
        optimizer = reference.optimizer()
        if keras.config.floatx() == "float64":
            # Keras' schedules compute in float32; the first drop is far away.
            optimizer = Momentum(reference.LEARNING_RATE, momentum=0.9)
        self.method.compile(optimizer, jit_compile=False, metrics=[], run_eagerly=True)
        batches = np.load(folder / "batches.npz")
        precision = keras.config.floatx()
        self.images = batches["x"].astype(precision) / np.asarray(255, precision)
        self.labels = batches["y"].astype("int32")

    def fit(self, num_steps, **kwargs):
        """Our training loop; an epoch is one step, so that its means are the step's."""
        # A generator, since a data set of float64 images would be refused.
        batches = (batch for batch in zip(self.images, self.labels))
        return self.method.fit(
            batches, epochs=num_steps, steps_per_epoch=1, verbose=0, **kwargs
        ).history

    def variables(self, part):
        """Keras variables of a network by their TF1 name."""
        network = self.networks[part]
        return {
            row.name: getattr(network.get_layer(row.layer), row.weight)
            for row in model_rows(network, part=part)
        }

    def values(self, part):
        return {name: v.numpy() for name, v in self.variables(part).items()}

    def slots(self, part):
        """Accumulators of Momentum by the TF1 name of their variable."""
        optimizer, network = {
            "student": (self.method.optimizer, self.method.student),
            "discriminator": (
                self.method.discriminator_optimizer,
                self.method.discriminator,
            ),
        }[part]
        slots = dict(
            zip([v.path for v in network.trainable_variables], optimizer.momentums)
        )
        return {
            name: slots[variable.path].numpy()
            for name, variable in self.variables(part).items()
            if variable.path in slots
        }

    def set(self, part, golden):
        for name, variable in self.variables(part).items():
            if name in golden:
                variable.assign(golden[name])


def teacher_decay(folder):
    """What the original reports too much: the constant decay of the teacher.

    Its decay of the student (and of the discriminator) sums over all kernels made so
    far, those of the teacher with both heads included. They are not trained.
    """
    reader = tf.train.load_checkpoint(str(folder))
    names = [
        name
        for name in reader.get_variable_to_shape_map()
        if name.endswith("/DW") and not name.startswith(("classifier/", "discrim"))
    ]
    kernels = [reader.get_tensor(name).astype("float64") for name in names]
    return WEIGHT_DECAY * sum(np.sum(np.square(kernel)) for kernel in kernels) / 2


def add_losses(found, name, history, golden, folder, num_steps):
    pairs = {
        "cross_entropy": golden["pre/student_mean_xent"],
        "adversarial": golden["pre/adv_c_loss"],
        "difference": 10 * golden["pre/input_grad_l2_norm_diff"],
        "discriminator_loss": golden["pre/disc_mean_xent"],
        "discriminator_accuracy": golden["pre/disc_accuracy"],
        "loss": golden["pre/total_loss"] - teacher_decay(folder),
    }
    for key, values in pairs.items():
        values = np.atleast_1d(values)[:num_steps]
        if key == "difference":
            # A millionth of the loss, which falls and rises a hundredfold: compared
            # with the largest of the steps.
            found.add(f"{name} {key}", history[key], values)
            continue
        for step, value in enumerate(values):
            found.add(f"{name} {key}", history[key][step], value)


def step0(found, name, folder, golden, gradients, **arguments):
    """Input gradients, discriminator outputs and all gradients at the checkpoint."""
    run = Run(folder, **arguments)
    method, images, labels = run.method, tf.constant(run.images[0]), run.labels[0]
    teacher_gradient = method.teacher_gradient(images, labels)
    student_gradient, logits = method.student_gradient(images, labels)
    found.add(f"{name} J_s", student_gradient, golden["pre/student_input_grad"])
    found.add(f"{name} J_t", teacher_gradient, golden["pre/teacher_input_grad"])
    found.add(f"{name} student logits", logits, golden["pre/student_logits"])
    pair = tf.concat([student_gradient, teacher_gradient], axis=0)
    judged = method.discriminator(pair, training=True)
    found.add(f"{name} discriminator logits", judged, golden["pre/disc_logits"])
    variables = {
        key: v for key, v in run.variables("student").items() if "/moving_" not in key
    }
    sizes = {"phase": "matching", "global_batch": tf.constant(float(BATCH))}
    with tf.GradientTape(persistent=True) as tape:
        targets = (teacher_gradient, None)
        terms, _, _ = method.loss_terms(images, labels, targets, **sizes)
        means = {key: tf.reduce_mean(term) for key, term in terms.items()}
    for term, theirs in (
        ("cross_entropy", "term_mean_xent"),
        ("adversarial", "term_adv"),
        ("difference", "term_diff"),
    ):
        ours = tape.gradient(means[term], [v.value for v in variables.values()])
        wanted = subset(gradients, f"{theirs}/")
        found.add_weights(
            f"{name} gradients of {term}",
            dict(zip(variables, ours)),
            wanted,
            trainable=True,
        )


def subset(arrays, prefix):
    return {key[len(prefix) :]: arrays[key] for key in arrays if key.startswith(prefix)}


def transition(found, name, folder, golden, gradients, statistics=None, **arguments):
    """One step of `fit` in float32: losses, slots (the gradients), statistics."""
    run = Run(folder, **arguments)
    # The student's update alone; the discriminator's is compared from golden weights.
    run.method.second_update_due = lambda step: None
    history = run.fit(1)
    add_losses(found, name, history, golden, folder, 1)
    total = subset(gradients, "total/")
    found.add_weights(f"{name} gradients", run.slots("student"), total, trainable=True)
    for part in PARTS if statistics is not None else ():
        found.add_weights(
            f"{name} statistics", run.values(part), statistics, trainable=False
        )
    return run


def discriminator_transition(found, folder, run, steps, gradients, after):
    """The discriminator's step from the golden student, on golden input gradients.

    It sees directions, and where the student is sure of an image, float32 leaves of its
    input gradient little more than rounding: one processor's direction is not
    another's. So our passes run (they move statistics), and theirs are what is looked
    at. That ours are the same is what `step0` compares, and twelve steps of float64.
    """
    found.add_weights("after 1 student", run.values("student"), after, trainable=True)
    run.set("student", {k: v for k, v in after.items() if "/moving_" not in k})
    golden = [steps["post_c/student_input_grad"], steps["pre/teacher_input_grad"]]
    ours = run.method.discriminator_inputs

    def inputs(*arguments, **kwargs):
        for gradient, theirs in zip(ours(*arguments, **kwargs), golden, strict=True):
            assert gradient.shape == theirs.shape
        return [tf.constant(theirs) for theirs in golden]

    run.method.discriminator_inputs = inputs
    images, labels = tf.constant(run.images[0]), tf.constant(run.labels[0])
    # With the authors' teacher the third is not used.
    prepared = (images, labels, (tf.zeros_like(images), None), {})
    run.method.second_update(prepared, tf.constant(0, tf.int64))
    total = subset(gradients, "dstep_total/")
    slots = run.slots("discriminator")
    found.add_weights("discriminator gradients", slots, total, trainable=True)
    disc = run.values("discriminator")
    found.add_weights("after 1 discriminator", disc, after, trainable=True)
    for part in PARTS:
        values = run.values(part)
        found.add_weights("after 1 statistics", values, after, trainable=False)


def probability(folder):
    """The authors' default, in float32: the first step of both networks, whole."""
    found = Differences()
    steps, gradients = arrays(folder / "steps.npz"), arrays(folder / "step0_grads.npz")
    steps = {key: value[0] for key, value in steps.items() if "/" in key}
    step0(found, "probability", folder, steps, gradients)
    statistics = arrays(folder / "bn_after_first_c_min_step.npz")
    run = transition(found, "probability", folder, steps, gradients, statistics)
    after = arrays(folder / "after1.npz")
    discriminator_transition(found, folder, run, steps, gradients, after)
    return found


def loss(folder):
    """The paper's gradient of the loss, in float32: the student's first step."""
    found = Differences()
    paper = arrays(folder / "ce_step0.npz")
    gradients = subset(paper, "grad0/")
    step0(found, "loss", folder, paper, gradients, input_gradient_of="loss")
    transition(found, "loss", folder, paper, gradients, input_gradient_of="loss")
    return found


def float64(folder):
    """Twelve steps in a row, student and discriminator, through `fit`."""
    found = Differences()
    run = Run(folder)
    after = {epoch: arrays(folder / f"f64/after{epoch + 1}.npz") for epoch in (0, 11)}

    def compare(epoch, logs=None):
        del logs
        for part in PARTS if epoch in after else ():
            values, golden = run.values(part), after[epoch]
            name = f"12 steps, after {epoch + 1}"
            found.add_weights(f"{name} {part}", values, golden, trainable=True)
            found.add_weights(f"{name} statistics", values, golden, trainable=False)

    callback = keras.callbacks.LambdaCallback(on_epoch_end=compare)
    history = run.fit(12, callbacks=[callback])
    golden = arrays(folder / "f64/steps.npz")
    add_losses(found, "12 steps", history, golden, folder, 12)
    return found


def arrays(path):
    return dict(np.load(path))


def exact_leaky_relu(features, alpha=0.2, name=None):
    """TensorFlow's kernel rounds the slope to float32; the authors multiply by 0.1."""
    del name
    return tf.where(features < 0, alpha * features, features)


if __name__ == "__main__":
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    golden_folder = pathlib.Path(sys.argv[1]) / "golden" / "igam_step_narrow"
    compared = {"probability": probability, "loss": loss, "float64": float64}
    if sys.argv[2] == "float64":
        keras.config.set_floatx("float64")
        tf.nn.leaky_relu = exact_leaky_relu
    results = compared[sys.argv[2]](golden_folder)
    print(json.dumps(results, indent=1))
