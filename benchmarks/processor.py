"""The processor that figures are measured on; needs the standard library only."""

import pathlib
import platform


def processor(cpuinfo=pathlib.Path("/proc/cpuinfo")):
    """Name of the processor and the width of its vectors, as far as the system tells.

    Args:
        cpuinfo: file in the form of Linux' /proc/cpuinfo.

    Returns:
        Text such as "AMD EPYC, AVX-512".
    """
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()]
    found = {key.strip(): value.strip() for key, _, value in lines}
    name = found.get("model name") or platform.machine()
    flags = found.get("flags", "").split()
    widths = {
        "avx512_bf16": "AVX512_BF16",
        "avx512f": "AVX-512",
        "avx2": "AVX2",
    }
    return ", ".join([name, *[text for f, text in widths.items() if f in flags][:1]])
