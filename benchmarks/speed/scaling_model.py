"""What stops an IGAM step at 64 GPUs: a model of compute and all-reduce.

    python -m benchmarks.speed.scaling_model

    seconds(N, b) = host + b image + r (N - 1) / N bytes / bandwidth + r (N - 1) latency

for N replicas of b images each: `host` is what a step takes whatever its size, `image`
the operations of an image over the speed of a device, and an all-reduce in a ring sends
the gradients 2 (N - 1) / N times in 2 (N - 1) messages, r = 2. Those of the student go
around in each step, those of the discriminator in one of five. Nothing overlaps:
gradients are summed when all of them are there, as Keras does. Up to 8 devices are in
one machine; beyond, the network between machines is what a ring waits for.

Operations and bytes are counted (`--count`, a minute) on the paper's network. Constants
of a GPU are those of its data sheet, times a share that is assumed until one is
measured; those of a CPU are measured by `replicas.py`.
"""

import argparse
import dataclasses

from tools.tables import print_table

COUNTS = (1, 2, 4, 8, 16, 32, 64)
IN_A_MACHINE = 8
CYCLE = 5


@dataclasses.dataclass(frozen=True)
class Step:
    """What a step computes and sends.

    Attributes:
        operations: multiplications and additions of an image.
        student_bytes, discriminator_bytes: of their gradients.
    """

    operations: float
    student_bytes: float
    discriminator_bytes: float = 0.0


@dataclasses.dataclass(frozen=True)
class Devices:
    """What computes and sends.

    Attributes:
        speed: operations a second that a device achieves in a step.
        near, far: bytes a second that a device sends within a machine and beyond.
        near_latency, far_latency: seconds of a message.
        host: seconds of a step without any arithmetic.
    """

    speed: float
    near: float
    far: float
    near_latency: float
    far_latency: float
    host: float


# IGAM of a Wide-ResNet 32-10 on 32 x 32 images, with a teacher of its size (--count).
WIDE_RESNET_32_10 = Step(111.408e9, 183_697_384.0, 2_800_328.0)
# NVIDIA H100 SXM in a DGX: 989 TFLOP/s in bfloat16 and 450 GB/s of NVLink each way
# (data sheet), 400 Gbit/s of InfiniBand a GPU. Assumed, and to be measured on a GPU:
# 40 % of the peak, 80 % of the links, latencies, and the time of a step without
# arithmetic.
H100 = Devices(
    speed=0.4 * 989e12,
    near=0.8 * 450e9,
    far=0.8 * 50e9,
    near_latency=5e-6,
    far_latency=15e-6,
    host=3e-3,
)


def all_reduce(count, size, devices):
    """Seconds of a ring all-reduce of `size` bytes over `count` devices."""
    if count == 1:
        return 0.0
    is_near = count <= IN_A_MACHINE
    bandwidth = devices.near if is_near else devices.far
    latency = devices.near_latency if is_near else devices.far_latency
    return 2 * (count - 1) * (size / count / bandwidth + latency)


def parts(count, batch, step, devices):
    """Seconds of a step by part: "host", "compute", "all-reduce".

    Args:
        count: number of devices.
        batch: images of each.
        step: `Step`.
        devices: `Devices`.
    """
    reduced = all_reduce(count, step.student_bytes, devices)
    reduced += all_reduce(count, step.discriminator_bytes, devices) / CYCLE
    return {
        "host": devices.host,
        "compute": batch * step.operations / devices.speed,
        "all-reduce": reduced,
    }


def rows(batch_of, step, devices):
    """Rows of a table: devices, images of each, milliseconds by part, efficiency.

    Args:
        batch_of: function of a number of devices to the images of each.
    """
    one = sum(parts(1, batch_of(1), step, devices).values()) / batch_of(1)
    found = []
    for count in COUNTS:
        batch = batch_of(count)
        seconds = parts(count, batch, step, devices)
        # Images a second of each, against one device alone.
        efficiency = batch * one / sum(seconds.values())
        cells = [f"{1000 * part:.2f}" for part in seconds.values()]
        found.append([count, f"{batch:g}", *cells, f"{efficiency:.0%}"])
    return found


def count_step():
    """The `Step` of the paper's network, from the graph of its step."""
    from benchmarks.speed import networks, step_time

    args = argparse.Namespace(depth=32, width=10, side=32, batch_size=2)
    method = networks.compiled(networks.igam(args))
    counted = step_time.convolution_flops(args, {"IGAM": method})["IGAM"]
    return Step(
        counted / args.batch_size,
        4.0 * method.student.count_params(),
        4.0 * method.discriminator.count_params(),
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", action="store_true", help="count the step anew")
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--speed", type=float, help="operations a second of a device")
    parser.add_argument("--near", type=float, help="bytes a second within a machine")
    parser.add_argument("--far", type=float, help="bytes a second between machines")
    parser.add_argument("--host", type=float, help="seconds without arithmetic")
    args = parser.parse_args(arguments)
    step = count_step() if args.count else WIDE_RESNET_32_10
    given = {k: getattr(args, k) for k in ("speed", "near", "far", "host")}
    devices = dataclasses.replace(H100, **{k: v for k, v in given.items() if v})
    print(f"{step}\n{devices}\n")
    header = [
        "devices",
        "images each",
        "host, ms",
        "compute",
        "all-reduce",
        "efficiency",
    ]
    print(f"{args.batch_size} images a device:")
    print_table(header, rows(lambda count: args.batch_size, step, devices))
    print(f"{args.batch_size} images in all:")
    print_table(header, rows(lambda count: args.batch_size / count, step, devices))


if __name__ == "__main__":
    main()
