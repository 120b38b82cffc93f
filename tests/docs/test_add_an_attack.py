"""The page "Add an attack", followed from its first block to its last."""

import re

import pages

PAGE = "igam_tf/attacks/README.md"
SMALLER = (
    ("EPOCHS = 20", "EPOCHS = 1"),
    ("    progress=False,\n", "    panel=False, max_examples=40, progress=False,\n"),
    (
        "--attacks=clean,noise,momentum20",
        "--attacks=clean,noise5,momentum2 --nopanel --max_examples=40",
    ),
)


def test_page_can_be_followed(tmp_path):
    printed = pages.follow(PAGE, tmp_path, smaller=SMALLER)
    accuracies = dict(re.findall(r"^(\w+): (\d\.\d+)$", printed, re.M))
    assert list(accuracies) == ["clean", "noise50", "momentum20", "pgd20"]
    assert all(accuracies["clean"] >= found for found in accuracies.values())
    # The command knows them by their names, too.
    assert "momentum2" in printed and "noise5" in printed
