"""Accuracy of a classifier on clean and on adversarial images."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Sequence

import keras

from igam_tf.attacks import Attack, AutoAttack
from igam_tf.evaluation import request as requests
from igam_tf.evaluation import results
from igam_tf.evaluation.batches import (
    Data,
    Repeats,
    batches,
    fingerprints,
    num_images,
)
from igam_tf.evaluation.corruptions import cost
from igam_tf.evaluation.corruptions.counting import evaluate_corruptions
from igam_tf.evaluation.corruptions.names import Corruptions
from igam_tf.evaluation.counting import Counter
from igam_tf.evaluation.masking import look
from igam_tf.evaluation.progress import (
    Progress,
    corruptions_sentence,
    tell_before,
    tell_panel,
)
from igam_tf.evaluation.ranges import range_warnings
from igam_tf.evaluation.resume import Checkpoint
from igam_tf.evaluation.verified.counting import contradictions, verify

# Images given to AutoAttack at once: of 128, few would be left at the end.
PORTION = 1024
# Images that are corrupted to see how long it takes.
_FEW = 8


def evaluate(
    model: keras.Model,
    data: Data,
    attacks: str | Attack | Iterable[str | Attack] = ("clean", "fgsm", "pgd20"),
    *,
    eps: float = 8 / 255,
    step_size: float | None = None,
    norm: str = "linf",
    batch_size: int = 128,
    batch_norm: str = "inference",
    seed: int = 0,
    max_examples: int | None = None,
    panel: bool = True,
    panel_examples: int = 100,
    transfer_from: dict[str, keras.Model] | keras.Model | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    progress: bool = True,
    save: Callable[[dict], object] | None = None,
    corruptions: str | Sequence[str] | Corruptions | None = None,
    verified: bool = False,
) -> dict:
    """Counts the images that a classifier gets right, clean and under each attack.

    An image is robust under an attack if it is classified correctly both as it is and
    as the attack leaves it. One batch is in memory at a time, beside the few images of
    the masking panel.

    Args:
        model: Keras model from images (batch, height, width, channels) to logits.
        data: tf.data.Dataset of batches (images, labels), or a pair of arrays. Images
            are in [0, 1], labels are integers.
        attacks: names as `igam_tf.attacks.parse` takes them, or attacks. A name may
            have a radius of its own ("pgd20@4/255", "autoattack@l2:0.5").
        eps: radius of the ball of allowed perturbations, a fraction such as 8/255.
        step_size: length of a step of PGD, or None for the default of
            `igam_tf.attacks.pgd`.
        norm: "linf", "l2", or "l1", in which there is no panel, SPSA or DDN.
        batch_size: number of images attacked at once.
        batch_norm: "inference", or "batch" to attack and classify in training mode
            with the statistics of each batch, as the paper's authors did (batches of
            100). An image's result then depends on its neighbours: a Dataset keeps its
            batches, the last one is not padded, and with one image in it means little.
            The model's moving statistics stay as they are.
        seed: integer, seed of random starts.
        max_examples: number of images to stop at, or None for all.
        panel: whether to run `igam_tf.evaluation.masking_panel`, if there is an attack
            at all.
        panel_examples: number of images it looks at, the first of the data.
        transfer_from: dict from name to Keras model of the same task: the panel
            tries their adversarial images as well.
        checkpoint_dir: folder for what is counted so far, for an evaluation of hours:
            the same call goes on where it was killed. Emptied at the end. One
            evaluation at a time.
        progress: whether to show a progress bar with the time left, and warnings.
        save: function that is called with the result before `checkpoint_dir` is
            emptied, such as one that writes it to the disk; None for nothing.
        corruptions: common corruptions to evaluate on as well, as
            `igam_tf.evaluation.evaluate_corruptions` takes them: "all", names, or the
            folder of CIFAR-10-C; None for none.
        verified: whether to count as well the images of which a bound proves that
            nothing in the ball misleads (`igam_tf.evaluation.verify`); for small
            networks of ReLUs.

    Returns:
        Dict, ready for JSON: for each attack accuracy, 95 % interval and seconds
        (compilation included); "worst_case", the images that are robust under all
        attacks in the ball of radius eps, the panel's among them; the threat model,
        settings, versions; "outcomes", one bit for each image and attack, which
        `igam_tf.evaluation.compare` takes, and the smallest perturbations that FMN and
        DDN found, which `igam_tf.evaluation.robust_curve` takes; "panel", what
        `masking_panel` returns; "warnings": sentences about signs of gradient masking,
        or about images of another range than the model is for (that alone, where it is
        so); "corruptions" and "verified", what `evaluate_corruptions` and `verify`
        return, if asked for;
        "robustbench": the same under the names of RobustBench's `model_info`.

    Raises:
        ValueError: if the arguments, the model or the data do not fit, or the data has
            no end and `max_examples` is None; if the model returns probabilities
            instead of logits, or NaN; if another evaluation uses `checkpoint_dir`.
        KeyboardInterrupt: with what was counted kept in `checkpoint_dir`.
    """
    # Longer than forty lines because of its arguments, which are handed on by name.
    start = time.perf_counter()
    request = requests.checked(
        model,
        data,
        attacks,
        eps=eps,
        step_size=step_size,
        norm=norm,
        batch_size=batch_size,
        batch_norm=batch_norm,
        seed=seed,
        max_examples=max_examples,
        panel=panel,
        panel_examples=panel_examples,
        transfer_from=transfer_from,
        corruptions=corruptions,
        verified=verified,
    )
    kept = Checkpoint(checkpoint_dir, model, request.identity)
    with kept.in_use():
        ranges = range_warnings(
            model, data, batch_size=request.batch_size, training=request.training
        )
        if progress:
            tell_before(ranges, request.panel_examples if request.panel else 0)
        found, known = _panel(request, kept) if request.panel else (None, ())
        if progress:
            if found is not None:
                tell_panel(found)
            _tell_corruptions(request)
        bar = Progress(num_images(data, max_examples), list(request.attacks), progress)
        counter = _counter(request, known, checkpoint_dir, bar)
        _count(counter, request, kept, bar)
        result = results.assembled(request, counter, panel=found, ranges=ranges)
        if request.corruptions is not None:
            result["corruptions"] = _corruptions(request, kept, progress)
        if request.network is not None:
            result["verified"] = _verified(request, progress)
            result["warnings"] += contradictions(result)
        result["seconds"] = round(time.perf_counter() - start, 3)
        if save is not None:
            save(result)
        kept.remove()
    return result


def _panel(request, kept):
    """What `look` returns, or what it has found on these very images before."""
    images, num_examples = None, request.panel_examples
    if kept.keeps:
        first = batches(request.data, request.batch_size, max_examples=num_examples)
        images = [text for batch in first for text in fingerprints(*batch)]
    if kept.panel is None or kept.panel["images"] != images:
        found, misclassified = look(
            request.model,
            request.data,
            eps=request.eps,
            norm=request.norm,
            num_examples=num_examples,
            batch_size=request.batch_size,
            batch_norm=request.batch_norm,
            seed=request.seed,
            transfer_from=request.sources,
        )
        kept.panel = {"found": found, "broken": misclassified, "images": images}
        kept.save()
    # With batch statistics an image is judged beside others of its batch, and the
    # panel's batches are others than those of the attacks.
    known = () if request.training else kept.panel["broken"]
    return kept.panel["found"], known


def _tell_corruptions(request):
    """Says what corruptions will take, where that is long: they come last."""
    asked, data = request.corruptions, request.data
    if asked is None:
        return
    most = request.max_examples
    count = cost.num_corrupted(asked, num_images(data, most), most)
    few = next(batches(data, request.batch_size, max_examples=_FEW), None)
    if not count or few is None:
        # Nobody knows, or there is nothing: evaluating says so.
        return
    seconds = cost.seconds_an_image(
        request.model, asked, few[0], batch_size=request.batch_size
    )
    sentence = corruptions_sentence(seconds, count, asked)
    if sentence:
        print(sentence, flush=True)


def _corruptions(request, kept, progress):
    return evaluate_corruptions(
        request.model,
        request.data,
        request.corruptions,
        batch_size=request.batch_size,
        batch_norm=request.batch_norm,
        seed=request.seed,
        max_examples=request.max_examples,
        progress=progress,
        state=kept.corruptions,
        keep=kept.save_corruptions if kept.keeps else None,
    )


def _verified(request, progress):
    return verify(
        request.network,
        request.data,
        eps=float(request.eps),
        norm=request.norm,
        max_examples=request.max_examples,
        progress=progress,
    )


def _counter(request, known, checkpoint_dir, bar):
    """A counter; AutoAttack gets its batch size, the folder and the progress bar."""
    connected = dict(request.attacks)
    for name, attack in connected.items():
        if isinstance(attack, AutoAttack):
            connected[name] = dataclasses.replace(
                attack,
                batch_size=request.batch_size,
                checkpoint_dir=attack.checkpoint_dir or checkpoint_dir,
                callback=attack.callback or bar.part,
            )
    return Counter(
        request.model,
        connected,
        training=request.training,
        batch_size=request.batch_size,
        outside=request.outside,
        misclassified=known,
    )


def _count(counter, request, kept, bar):
    """Attacks all portions, but for those that the checkpoint has counted already."""
    portion = counter.batch_size
    if any(isinstance(attack, AutoAttack) for attack in counter.attacks.values()):
        portion *= max(1, PORTION // portion)
    repeats = Repeats(request.data, request.max_examples)
    if kept.counted:
        counter.restore(kept.counted)
    for images, labels in batches(
        request.data,
        portion,
        max_examples=request.max_examples,
        as_given=counter.training,
    ):
        repeats.add(images)
        if kept.counted_before(images, labels):
            continue
        counter.add(images, labels)
        kept.save_counted(counter.state())
        bar.update(counter.num_examples, counter.accuracies())
    bar.close()
    kept.check_all_seen()
    if counter.num_examples == 0:
        raise ValueError("data has no images: expected at least one to evaluate on.")
