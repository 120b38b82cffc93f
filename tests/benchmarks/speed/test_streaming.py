"""The benchmark of streamed images, at its smallest."""

import numpy as np
from PIL import Image

from benchmarks.speed import streaming


def test_it_prints_a_rate_and_ratios(tmp_path, capsys):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(5):
            pixels = np.full((20 + i, 16, 3), 20 * i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.jpg")
    streaming.main(
        [f"--data={tmp_path}", "--image_size=8", "--batch_size=4", "--depth=10",
         "--width=1", "--steps=1", "--rounds=1", "--images=3"]
    )  # fmt: skip
    text = capsys.readouterr().out
    assert "one core reads, decodes and crops" in text
    lines = text.splitlines()
    assert sum(line.startswith(("| plain", "| GradNorm")) for line in lines) == 6
