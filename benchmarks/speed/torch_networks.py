"""Wide-ResNet and discriminator in PyTorch, with the package's weights.

Weights come as arrays named as in Keras; images are NCHW in [0, 1].
"""

import torch
import torch.nn.functional as F

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
        mean = self.statistics[f"{name}/moving_mean"]
        variance = self.statistics[f"{name}/moving_variance"]
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
