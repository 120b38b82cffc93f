"""The processor's name, of a file in the form of /proc/cpuinfo."""

import pytest

from benchmarks.processor import processor

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("flags, expected", [
    ("sse avx2 avx512f avx512_bf16", "AMD EPYC, AVX512_BF16"),
    ("sse avx2 avx512f", "AMD EPYC, AVX-512"),
    ("sse avx2", "AMD EPYC, AVX2"), ("sse", "AMD EPYC"),
])  # fmt: skip
def test_name_and_widest_vectors(tmp_path, flags, expected):
    path = tmp_path / "cpuinfo"
    one = f"processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: {flags}\n\n"
    path.write_text(2 * one)
    assert processor(path) == expected
    assert processor(tmp_path / "absent")
