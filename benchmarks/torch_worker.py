"""The IGAM step in PyTorch, on request of `torch_step.py`; needs torch and NumPy only.

Weights come as arrays named as in Keras. Batches are NCHW; gradients are per grey
level, as in the package's defaults: teacher in inference mode, probability, sums.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.fx.experimental.proxy_tensor import make_fx

from benchmarks import timing

SLOPE, NORM_EPSILON, NORM_DECAY = 0.1, 1e-3, 0.9
GREY_LEVELS = 255.0


class Network:
    """A network of named parameters and moving statistics.

    Args:
        arrays: dict of "layer/weight" -> array, as Keras has them.
        layout: torch memory format of kernels.
    """

    def __init__(self, arrays, layout, trained=True):
        self.trainable, self.statistics, self.kernels = {}, {}, []
        for name, array in arrays.items():
            tensor = torch.tensor(array)
            if tensor.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=layout)
            if "/moving_" in name:
                self.statistics[name] = tensor
            else:
                self.trainable[name] = tensor.requires_grad_(trained)
        self.kernels = [n for n in self.trainable if n.endswith("/kernel")]
        self.training = trained

    def conv(self, x, name, stride=1):
        kernel, bias = self.trainable[f"{name}/kernel"], f"{name}/bias"
        size = kernel.shape[-1]
        missing = max(size - stride, 0)  # "same" padding: the odd pixel at the end
        x = F.pad(x, (missing // 2, missing - missing // 2) * 2) if missing % 2 else x
        padding = 0 if missing % 2 else missing // 2
        return F.conv2d(x, kernel, self.trainable.get(bias), stride, padding)

    def norm(self, x, name):
        mean, variance = (self.statistics[f"{name}/moving_{s}"] for s in ("mean", "variance"))
        gamma, beta = (self.trainable[f"{name}/{s}"] for s in ("gamma", "beta"))
        x = F.batch_norm(
            x, mean, variance, gamma, beta, self.training, 1 - NORM_DECAY, NORM_EPSILON
        )
        return F.leaky_relu(x, SLOPE)

    def logits(self, x):
        return x @ self.trainable["logit/kernel"] + self.trainable["logit/bias"]

    def decay(self):
        return sum(self.trainable[n].square().sum() for n in self.kernels) / 2


class WideResNet(Network):
    def __call__(self, images):
        x = self.conv(_zero_mean_unit_norm(images * GREY_LEVELS), "init_conv")
        units = sum(n.startswith("unit_1_") and "conv1/" in n for n in self.kernels)
        for stage in (1, 2, 3):
            for unit in range(units):
                stride = 2 if stage > 1 and unit == 0 else 1
                x = self.unit(x, f"unit_{stage}_{unit}", stride)
        return self.logits(self.norm(x, "unit_last_norm").mean((2, 3)))

    def unit(self, x, name, stride):
        shortcut, x = x, self.norm(x, f"{name}_1_norm")
        if name == "unit_1_0":
            shortcut = x
        x = self.conv(x, f"{name}_conv1", stride)
        x = self.conv(self.norm(x, f"{name}_2_norm"), f"{name}_conv2")
        missing = x.shape[1] - shortcut.shape[1]
        if missing:
            shortcut = F.avg_pool2d(shortcut, stride) if stride > 1 else shortcut
            shortcut = F.pad(shortcut, (0, 0, 0, 0, missing // 2, missing // 2))
        return x + shortcut


class Discriminator(Network):
    def __call__(self, gradients):
        x = _zero_mean_unit_norm(gradients)
        for i in range(len(self.kernels) - 1):
            x = self.norm(self.conv(x, f"conv{i}", stride=2), f"norm{i}")
        # Keras flattens NHWC.
        return self.logits(x.permute(0, 2, 3, 1).flatten(1))


def _zero_mean_unit_norm(x):
    x = x - x.mean((1, 2, 3), keepdim=True)
    squared_norm = x.square().sum((1, 2, 3), keepdim=True)
    return x * squared_norm.clamp_min(1e-12).rsqrt()


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
        kinds = {"student": WideResNet, "teacher": WideResNet, "discriminator": Discriminator}
        for part, kind in kinds.items():
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
            graph = make_fx(lambda tensors, args: self.pure(tensors, args))(tensors, args)
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

    timing.serve({"prepare": prepare, "threads": threads, "run": run})


if __name__ == "__main__":
    main()
