"""IGAM's losses by hand, how often the discriminator steps, and who may change."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import attacks, data, gradients, models, training


def _weights(model):
    return [v.numpy() for v in model.variables if "moving_" not in v.name]


def _changed(before, model):
    return any((b != a).any() for b, a in zip(before, _weights(model), strict=True))


def _batch(digits, size=16):
    return next(iter(data.evaluation_batches(digits.train, size)))


def _terms(method, images, labels):
    """Terms of one matching step: name -> mean per image, and the report."""
    _, target = method.prepare(
        images, labels, phase="matching", seed=tf.constant([0, 0])
    )
    terms, _, report = method.loss_terms(
        images, labels, target, phase="matching", global_batch=16.0
    )
    return {k: v.numpy() for k, v in {**terms, **report}.items()}


def test_losses_equal_hand_computed_ones(digits, make_igam):
    method, (images, labels) = make_igam(), _batch(digits)
    found = _terms(method, images, labels)
    student = gradients.input_gradient(method.student, images, labels).numpy()
    teacher = gradients.input_gradient(method.teacher, images, labels).numpy()
    # Eq. 13, summed over pixels and (by 16 times a mean) over the batch; weight 3.
    difference = 3.0 * 16 * np.square(student - teacher).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found["difference"], difference, rtol=1e-4)
    # Two classes: the cross entropy of a pair of logits is softplus of their gap.
    logits = method.discriminator(np.concatenate([student, teacher]), training=True)
    gap = logits[:, 1] - logits[:, 0]
    loss = (np.logaddexp(0, gap[:16]) + np.logaddexp(0, -gap[16:])) / 2
    np.testing.assert_allclose(found["discriminator_loss"], loss, rtol=1e-4)
    np.testing.assert_allclose(found["adversarial"], -0.5 * loss, rtol=1e-4)
    right = (gap[:16] < 0).numpy() / 2 + (gap[16:] > 0).numpy() / 2
    np.testing.assert_allclose(found["discriminator_accuracy"], right)
    probabilities = keras.ops.softmax(method.student(images)).numpy()
    np.testing.assert_allclose(
        found["cross_entropy"],
        -np.log(probabilities[np.arange(16), labels]),
        rtol=1e-4,
    )


def test_pixel_range_and_mean_reduction_convert_as_documented(digits, make_igam):
    images, labels = _batch(digits)
    of_sum = _terms(make_igam(difference_weight=3.0), images, labels)
    weight = 3.0 * 16 * 255**2
    method = make_igam(difference_weight=weight, difference_reduction="mean")
    method.pixel_range = 255.0
    of_mean = _terms(method, images, labels)
    np.testing.assert_allclose(of_mean["difference"], of_sum["difference"], rtol=1e-4)
    np.testing.assert_allclose(of_mean["adversarial"], of_sum["adversarial"], rtol=1e-3)


def test_gradient_of_the_loss_differs_from_that_of_the_probability(digits, make_igam):
    images, labels = _batch(digits)
    of_probability = _terms(make_igam(), images, labels)
    of_loss = _terms(make_igam(input_gradient_of="loss"), images, labels)
    assert (of_loss["difference"] != of_probability["difference"]).all()


def test_distillation_by_hand(digits, make_igam):
    images, labels = _batch(digits)
    method = make_igam(distillation_weight=0.3, temperature=2.0)
    theirs, ours = (
        keras.ops.softmax(network(images) / 2).numpy()
        for network in (method.teacher, method.student)
    )
    found = _terms(method, images, labels)
    wanted = 0.3 * 4 * (theirs * np.log(theirs / ours)).sum(axis=1)
    np.testing.assert_allclose(found["distillation"], wanted, rtol=1e-3, atol=1e-6)
    assert wanted.max() > 1e-3
    # It is logged where it is asked for, and changes nothing else.
    assert "distillation" in [mean.name for mean in method.means]
    plain = make_igam()
    assert "distillation" not in [mean.name for mean in plain.means]
    others = _terms(plain, images, labels)
    assert found.keys() - others.keys() == {"distillation"}
    for name in ("cross_entropy", "difference", "adversarial"):
        np.testing.assert_array_equal(found[name], others[name])
    with pytest.raises(ValueError, match="temperature=0"):
        make_igam(temperature=0)


@pytest.mark.usefixtures("eagerly")
def test_weight_decay_is_half_the_squared_norm_of_kernels(digits, make_igam):
    logs = []
    for decay in (0.0, 0.1):
        method = make_igam(weight_decay=decay, matching_start=10)
        kernels = [v.numpy() for v in method.student.variables if v.name == "kernel"]
        logs.append(method.fit(*_batch(digits), batch_size=16, verbose=0).history)
    added = 0.1 / 2 * sum(np.square(kernel).sum() for kernel in kernels)
    assert logs[1]["loss"][0] - logs[0]["loss"][0] == pytest.approx(added, rel=1e-4)


@pytest.mark.fast
def test_teacher_is_bit_identical_and_the_others_change(digits, rewind_igam):
    method = rewind_igam()
    before = {
        name: _weights(getattr(method, name))
        for name in ("student", "teacher", "discriminator")
    }
    method.fit(data.evaluation_batches(digits.train, 16), epochs=2, verbose=0)
    assert not _changed(before["teacher"], method.teacher)
    assert _changed(before["student"], method.student)
    assert _changed(before["discriminator"], method.discriminator)
    own = {id(v) for v in method.variables}
    assert not own & {id(v) for v in method.teacher.variables}


def test_discriminator_steps_once_in_k_steps_and_only_while_matching(digits, make_igam):
    method = make_igam(discriminator_every=3, matching_start=4)
    stepped = []
    for step in range(10):
        before = [v.numpy() for v in method.discriminator.trainable_variables]
        method.fit(*_batch(digits), batch_size=16, verbose=0)
        after = [v.numpy() for v in method.discriminator.trainable_variables]
        if any((b != a).any() for b, a in zip(before, after, strict=True)):
            stepped.append(step)
    assert stepped == [6, 9]


@pytest.mark.usefixtures("eagerly")
def test_discriminator_input_before_or_after_the_students_update(digits, make_igam):
    def discriminator(learning_rate, **kwargs):
        method = make_igam(discriminator_every=1, **kwargs)
        method.compile(keras.optimizers.SGD(learning_rate), keras.optimizers.SGD(0.1))
        method.fit(
            data.evaluation_batches(digits.train, 8), steps_per_epoch=2, verbose=0
        )
        return np.concatenate([v.ravel() for v in method.discriminator.get_weights()])

    before = {"discriminator_input": "before_update"}
    # A student that stands still has the same gradients before and after its update.
    still = discriminator(0.0), discriminator(0.0, **before)
    np.testing.assert_allclose(*still, atol=1e-6)
    assert np.abs(discriminator(1.0) - discriminator(1.0, **before)).max() > 1e-4


@pytest.mark.usefixtures("eagerly")
def test_before_matching_it_is_standard_training(digits, make_igam):
    method = make_igam(matching_start=100)
    plain = training.StandardTraining(keras.models.clone_model(method.student))
    plain.student.set_weights(method.student.get_weights())
    plain.compile(keras.optimizers.Adam(1e-2))
    for trained in (method, plain):
        trained.fit(data.evaluation_batches(digits.train, 16), epochs=2, verbose=0)
    for a, b in zip(_weights(method.student), _weights(plain.student), strict=True):
        np.testing.assert_array_equal(a, b)


def test_matching_aligns_the_input_gradients(digits, make_igam):
    """What the method is for: the cosine between J_s and J_t grows on test images."""
    method = make_igam(difference_weight=10.0, adversarial_weight=0.1)
    images, labels = digits.test.images, tf.constant(digits.test.labels)

    def cosine():
        pair = [
            gradients.input_gradient(model, tf.constant(images), labels)
            for model in (method.student, method.teacher)
        ]
        return float(tf.reduce_mean(gradients.per_image_cosine(*pair)))

    before = cosine()
    method.fit(data.evaluation_batches(digits.train, 16), epochs=30, verbose=0)
    assert cosine() > before + 0.2


@pytest.mark.usefixtures("eagerly")
def test_teacher_batch_norm_batch_moves_its_statistics_only(digits):
    shape = {"depth": 8, "width": 1, "image_shape": (8, 8, 1)}
    teacher = training.with_new_logits(
        models.wide_resnet(num_classes=10, **shape),
        num_classes=2,
        image_shape=(8, 8, 1),
    )
    method = training.IGAM(
        models.wide_resnet(num_classes=2, **shape),
        teacher,
        models.discriminator(gradient_shape=(8, 8, 1), channels=(4,)),
        teacher_batch_norm="batch",
    )
    method.compile(keras.optimizers.SGD(1e-3))
    before = {v.path: v.numpy() for v in teacher.variables}
    method.fit(*_batch(digits), batch_size=16, verbose=0)
    changed = {v.path for v in teacher.variables if (v.numpy() != before[v.path]).any()}
    assert changed
    assert all("moving_" in path for path in changed)


def test_networks_that_do_not_fit(make_igam):
    method = make_igam()
    good = (method.student, method.teacher, method.discriminator)
    three = models.small_cnn(num_classes=3, image_shape=(8, 8, 1))
    with pytest.raises(ValueError, match="teacher classes"):
        training.IGAM(three, *good[1:])
    with pytest.raises(ValueError, match="discriminator input"):
        training.IGAM(*good[:2], models.discriminator())
    with pytest.raises(ValueError, match="discriminator_every=0"):
        training.IGAM(*good, discriminator_every=0)
    with pytest.raises(ValueError, match="difference_reduction='max'"):
        training.IGAM(*good, difference_reduction="max")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda x, y: (x * 255, y), r"\[0, 1\]"),
        (lambda x, y: (np.where(x > 0.9, np.nan, x), y), "NaN"),
        (lambda x, y: (x, y + 1), "classes"),
    ],
)
def test_bad_data_is_refused_before_training(digits, make_igam, spoil, message):
    images, labels = spoil(digits.train.images, digits.train.labels)
    images = images.astype("float32")
    for arguments in [(images, labels), (_dataset(images, labels),)]:
        with pytest.raises(ValueError, match=message):
            make_igam().fit(*arguments, verbose=0)


def _dataset(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(64)


def test_its_text_is_the_call_that_makes_it():
    student = models.small_cnn(num_classes=2)
    attack = attacks.pgd(eps=8 / 255, num_steps=2)
    method = training.StandardTraining(
        student, attack=attack, weight_decay=0.25, seed=3
    )
    assert (
        repr(method) == f"StandardTraining(attack={attack}, weight_decay=0.25, seed=3)"
    )
    assert repr(training.GradNorm(student)) == "GradNorm()"
