"""PGD by other libraries, on request of `attack_time.py`: one library a process.

Foolbox and ART need TensorFlow, torchattacks needs torch; all load the same `.keras`
file. Nothing here starts at random, so that all compute the same attack.
"""

import os
import sys

from benchmarks.speed import workers

LIBRARIES = ("foolbox", "foolbox_graph", "art", "torchattacks")


def foolbox(model, num_classes, graph=False):
    import foolbox
    import tensorflow as tf

    del num_classes

    def function(images):
        return model(images, training=False)

    if graph:
        function = tf.function(function)
    classifier = foolbox.TensorFlowModel(function, bounds=(0, 1), device="/CPU:0")

    def attack(images, labels, eps, step_size, num_steps):
        pgd = foolbox.attacks.LinfProjectedGradientDescentAttack(
            abs_stepsize=step_size, steps=num_steps, random_start=False
        )
        found = pgd.run(
            classifier, tf.constant(images), tf.constant(labels), epsilon=eps
        )
        return found.numpy()

    return attack


def art(model, num_classes):
    import numpy as np
    import tensorflow as tf
    from art.attacks.evasion import ProjectedGradientDescentTensorFlowV2
    from art.estimators.classification import TensorFlowV2Classifier

    classifier = TensorFlowV2Classifier(
        model=model,
        nb_classes=num_classes,
        input_shape=model.input_shape[1:],
        loss_object=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        clip_values=(0, 1),
    )

    def attack(images, labels, eps, step_size, num_steps):
        pgd = ProjectedGradientDescentTensorFlowV2(
            classifier,
            eps=eps,
            eps_step=step_size,
            max_iter=num_steps,
            batch_size=len(images),
            verbose=False,
        )
        return pgd.generate(images, np.eye(num_classes, dtype="float32")[labels])

    return attack


def torchattacks(model, num_classes):
    import torch
    import torchattacks

    del num_classes

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            return self.model(images.permute(0, 2, 3, 1), training=False)

    classifier = Classifier().eval()

    def attack(images, labels, eps, step_size, num_steps):
        pgd = torchattacks.PGD(
            classifier, eps=eps, alpha=step_size, steps=num_steps, random_start=False
        )
        nchw = torch.tensor(images).permute(0, 3, 1, 2)
        found = pgd(nchw, torch.tensor(labels).long())
        return found.permute(0, 2, 3, 1).contiguous().numpy()

    return attack


def main():
    library, state = sys.argv[1], {}
    if library == "torchattacks":
        os.environ["KERAS_BACKEND"] = "torch"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    def prepare(model_path, data_path):
        import keras
        import numpy as np

        model = keras.saving.load_model(model_path, compile=False)
        name, *graph = library.split("_")
        kwargs = {"graph": True} if graph else {}
        state["attack"] = globals()[name](model, model.output_shape[-1], **kwargs)
        state["data"] = np.load(data_path)

    def threads(count):
        import torch

        torch.set_num_threads(count)

    def run(batch_size, out, num_images=None, **sizes):
        import numpy as np

        images, labels = (state["data"][k][:num_images] for k in ("images", "labels"))
        found = [
            state["attack"](
                images[i : i + batch_size], labels[i : i + batch_size], **sizes
            )
            for i in range(0, len(images), batch_size)
        ]
        np.save(out, np.concatenate(found))

    workers.serve({"prepare": prepare, "threads": threads, "run": run})


if __name__ == "__main__":
    main()
