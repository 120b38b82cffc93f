"""The IGAM step in PyTorch, on request of `torch_step.py`; needs torch and NumPy only.

Gradients are per grey level, as in the package's defaults: teacher in inference mode,
probability of the true class, sums over the batch.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.fx.experimental.proxy_tensor import make_fx

from benchmarks.speed import workers
from benchmarks.speed.torch_networks import GREY_LEVELS, Discriminator, WideResNet


class Step:
    """The three networks, their losses and the two updates.

    Args:
        path: .npz file with "student/...", "teacher/...", "discriminator/..." arrays,
            images and labels.
        settings: dict as `tf1_step.settings_of` makes it.
        layout: "contiguous_format" or "channels_last".
        compiled: whether the gradients go through `torch.compile`.
    """

    def __init__(self, path, settings, layout, compiled):
        layout = getattr(torch, layout)
        arrays, self.settings = np.load(path), settings
        for part in ("student", "teacher", "discriminator"):
            kind = Discriminator if part == "discriminator" else WideResNet
            own = [k for k in arrays.files if k.startswith(f"{part}/")]
            values = {k.removeprefix(f"{part}/"): arrays[k] for k in own}
            setattr(self, part, kind(values, layout, trained=part != "teacher"))
        images = torch.tensor(arrays["images"]).permute(0, 3, 1, 2)
        self.images = images.contiguous(memory_format=layout)
        self.labels = torch.tensor(arrays["labels"]).long()
        count = len(self.labels)
        self.players = torch.arange(2).repeat_interleave(count)
        self.optimizers = {
            part: torch.optim.SGD(
                list(getattr(self, part).trainable.values()),
                settings["learning_rate"],
                settings["momentum"],
            )
            for part in ("student", "discriminator")
        }
        self.gradients = {
            "student": self.student_gradients,
            "discriminator": self.discriminator_gradients,
        }
        if compiled:
            self.gradients = {k: _Traced(f, self) for k, f in self.gradients.items()}

    def input_gradient(self, network, create_graph=False):
        images = self.images.detach().requires_grad_()
        logits = network(images)
        chosen = logits.softmax(1).gather(1, self.labels[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, images, create_graph=create_graph)
        return gradient / GREY_LEVELS, logits

    def discriminate(self, student, teacher):
        logits = self.discriminator(torch.cat([student, teacher]))
        return F.cross_entropy(logits, self.players)

    def student_gradients(self):
        settings = self.settings
        teacher, _ = self.input_gradient(self.teacher)
        student, logits = self.input_gradient(self.student, create_graph=True)
        loss = (
            F.cross_entropy(logits, self.labels)
            - settings["adversarial_weight"] * self.discriminate(student, teacher)
            + settings["difference_weight"] * (student - teacher).square().sum()
            + settings["weight_decay"] * self.student.decay()
        )
        weights = list(self.student.trainable.values())
        return loss.detach(), teacher, *torch.autograd.grad(loss, weights)

    def discriminator_gradients(self, teacher):
        student, _ = self.input_gradient(self.student)
        loss = self.discriminate(student.detach(), teacher)
        loss = loss + self.settings["weight_decay"] * self.discriminator.decay()
        weights = list(self.discriminator.trainable.values())
        return torch.autograd.grad(loss, weights)

    def update(self, part, gradients):
        weights = getattr(self, part).trainable.values()
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        self.optimizers[part].step()

    def run(self, step, every):
        loss, teacher, *gradients = self.gradients["student"]()
        self.update("student", gradients)
        if step % every == 0:
            self.update("discriminator", self.gradients["discriminator"](teacher))
        return float(loss)


class _Traced:
    """A function of the step's tensors, traced with its derivatives, then compiled.

    `torch.compile` refuses a gradient of a gradient (`double backward`), so that
    autograd runs once, under `make_fx`, and the plain operations are compiled.
    """

    def __init__(self, function, step):
        self.function, self.step, self.compiled = function, step, None

    def networks(self):
        return self.step.student, self.step.teacher, self.step.discriminator

    def tensors(self):
        pairs = [(n.trainable, n.statistics) for n in self.networks()]
        return pairs, self.step.images, self.step.labels, self.step.players

    def __call__(self, *args):
        tensors = self.tensors()
        if self.compiled is None:
            # Not the method: `make_fx` counts its arguments wrongly.
            def pure(tensors, args):
                return self.pure(tensors, args)

            graph = make_fx(pure)(tensors, args)
            self.compiled = torch.compile(graph, fullgraph=True)
        with torch.no_grad():
            return self.compiled(tensors, args)

    def pure(self, tensors, args):
        """The function, of its arguments alone."""
        before = self.tensors()
        self.put(tensors)
        try:
            return self.function(*args)
        finally:
            self.put(before)

    def put(self, tensors):
        pairs, self.step.images, self.step.labels, self.step.players = tensors
        for network, pair in zip(self.networks(), pairs, strict=True):
            network.trainable, network.statistics = pair


def main():
    state = {}

    def prepare(path, settings, layout, mode):
        step = Step(path, settings, layout, compiled=mode == "traced")
        if mode == "compile":
            for part, function in step.gradients.items():
                step.gradients[part] = torch.compile(function)
        state["step"] = step
        return {"torch": torch.__version__}

    def run(steps, every):
        losses = [state["step"].run(index, every) for index in range(steps)]
        return {"losses": losses}

    def threads(count):
        torch.set_num_threads(count)

    workers.serve({"prepare": prepare, "threads": threads, "run": run})


if __name__ == "__main__":
    main()
