"""The page of a run: what it holds, and that it needs nothing but itself."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from matplotlib.image import imsave

from igam_tf.reports import AdversarialExamples, format_page, write_page

LABELS = ("Standard", "<script>alert(1)</script>", "IGAM & 'its' \"control\"")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
VOID = {"meta", "img", "br", "link", "input", "hr"}


def evaluation(accuracy):
    found = {"accuracy": accuracy, "interval_95": [accuracy - 0.04, accuracy + 0.03]}
    return {
        "attacks": {"clean": found, "pgd20": found},
        "threat_model": "Linf",
        "eps": 8 / 255,
        "step_size": None,
        "batch_norm": "inference",
        "seed": 3,
        "num_examples": 100,
        "warnings": [],
        "versions": {"keras": "3.15.1"},
    }


def results():
    rows = {
        "standard": {"label": LABELS[0], "evaluation": evaluation(0.81)},
        "igam": {"label": LABELS[1], "evaluation": evaluation(0.625)},
        "igam-zero": {
            "label": LABELS[2],
            "evaluation": evaluation(0.5),
            "control_of": "igam",
            "training_seconds": 61.3,
        },
    }
    rows["standard"]["evaluation"]["warnings"] = ["PGD does worse than <FGSM>."]
    rows["standard"]["evaluation"]["panel"] = {
        "num_examples": 20,
        "warns": ["square"],
        "checks": {"square": {"warns": True, "sentence": "Square <b>finds</b> more."}},
    }
    return {
        "title": "photos/<img src=x> -> digits",
        "rows": rows,
        "settings": {"epochs": 40, "run_dir": "/home/somebody/run", "target": "digits"},
        "changes": ["epochs 3 (recipe: 40)"],
        "versions": {"tensorflow": "2.21.0"},
        "paper": {"igam": {"clean": 70.0}},
    }


def examples():
    images = np.full((2, 4, 4, 1), 0.5, np.float32)
    classes = np.array([0, 1])
    found = {LABELS[1]: (images + 0.03, classes, 1 - classes)}
    return AdversarialExamples(images, classes, found, "pgd(eps=8/255)", 16.0)


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A run folder with two histories and a figure."""
    for row in ("standard", "igam"):
        (tmp_path / row).mkdir()
    (tmp_path / "standard" / "history.csv").write_text(
        "epoch,seconds,accuracy,loss,test_accuracy\n1,2.5,0.5,nan,0.25\n2,1.5,1.0,0.75,0.5\n"
    )
    (tmp_path / "igam" / "history.csv").write_text(
        "epoch,seconds,cross_entropy,gradient_cosine,loss,gradient_norm\n"
        "1,2,1.0,-0.5,3.0,9\n"
    )
    imsave(tmp_path / "input_gradients.png", np.zeros((2, 2, 3), np.uint8))
    return tmp_path


@pytest.fixture(name="page")
def _page(folder):
    path = write_page(
        folder / "report.html",
        results(),
        folder,
        examples=examples(),
        class_names=["cat", "<dog>"],
        left_out=["Surfaces: no <images>."],
    )
    return path.read_text(encoding="utf-8")


class Parsed(HTMLParser):
    """Elements with their attributes, text, and whether all of them are closed."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def test_it_refers_to_nothing_outside(page):
    parsed = Parsed(page)
    assert parsed.open == []
    names = {name for name, _ in parsed.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "base"}
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
    (style,) = re.findall("<style>(.*?)</style>", page, re.S)
    assert "url(" not in style and "@import" not in style
    policy = [a["content"] for a in parsed.all("meta") if "http-equiv" in a]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_pictures_have_a_text(page):
    parsed = Parsed(page)
    images = parsed.all("img")
    # A figure, two test images, two adversarial ones and their changes.
    assert len(images) == 7 and all(image["alt"].strip() for image in images)
    assert f"{LABELS[1]}: adversarial image, seen as <dog>, before as cat" in [
        image["alt"] for image in images
    ]
    for drawing in parsed.all("svg"):
        if drawing.get("aria-hidden") != "true":
            assert drawing["role"] == "img" and drawing["aria-label"].endswith(".")


def test_a_users_texts_come_out_as_text(page):
    text = Parsed(page).text
    for label in LABELS:
        assert text.count(label) >= 2
    for told in ("photos/<img src=x> -> digits", "than <FGSM>.", "<b>finds</b> more."):
        assert told in text
    assert "<dog>" in text and "Surfaces: no <images>." in text
    (title,) = re.findall("<title>(.*?)</title>", page)
    assert title == "photos/&lt;img src=x&gt; -&gt; digits"


def test_numbers_settings_and_versions(page):
    text = Parsed(page).text
    for told in (
        "81.0 77.0 to 84.0",
        "62.5 58.5 to 65.5 paper 70.0 (-7.5)",
        "61.3",
        "Not the recipe: epochs 3 (recipe: 40).",
        "Linf, eps 8/255; 100 test images; seed 3",
        "tensorflow 2.21.0",
        "1 checks on 20 images, 1 warn",
        "was not run on <script>alert(1)</script>, IGAM &",
        "pgd(eps=8/255)",
        "16 times as strong",
    ):
        assert told in text, told
    assert "somebody" not in page
    levels = [
        int(name[1]) for name, _ in Parsed(page).elements if name in ("h1", "h2", "h3")
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))


def test_curves_of_every_training(page):
    told = [a["aria-label"] for a in Parsed(page).all("svg") if "aria-label" in a]
    assert told == [
        # The first value of the loss is not a number.
        "Loss by term over 2 epochs: total from 0.75 to 0.75.",
        "Accuracy (%) over 2 epochs: training from 50 to 100; test from 25 to 50.",
        "Seconds an epoch over 2 epochs: seconds from 2.5 to 1.5.",
        "Loss by term over 1 epoch: total from 3 to 3; cross entropy from 1 to 1.",
        "Cosine of the gradients over 1 epoch: student and target from −0.5 to −0.5.",
        "Seconds an epoch over 1 epoch: seconds from 2 to 2.",
    ]
    paths = [a["d"] for a in Parsed(page).all("path") if "curve" in a["class"]]
    assert all(re.fullmatch(r"M[-\d. L]+|M1 5H21", path) for path in paths)


def test_a_warning_of_each_of_two_rows_of_one_label():
    found = results()
    found["rows"]["igam"]["label"] = LABELS[0]
    text = Parsed(format_page(found)).text
    assert "PGD does worse than <FGSM>." in text and f"{LABELS[0]} (igam)" in text


def test_what_is_not_there_has_no_section():
    found = results()
    for name in ("settings", "versions", "changes", "paper"):
        del found[name]
    text = Parsed(format_page(found)).text
    assert "Settings" not in text and "Training" not in text
    assert "Adversarial" not in text and "Left out" not in text
    # Those of the evaluation.
    assert "keras 3.15.1" in text
    with pytest.raises(ValueError, match="no rows"):
        format_page({"title": "nothing", "rows": {}})


PROBE = """<script>
const tried = [];
document.addEventListener("securitypolicyviolation", e => tried.push(e.blockedURI));
addEventListener("load", () => parent.postMessage(JSON.stringify({
  width: innerWidth,
  beyond: document.documentElement.scrollWidth - innerWidth,
  missing: [...document.images].filter(i => !i.naturalWidth).map(i => i.alt),
  images: document.images.length,
  charts: [...document.querySelectorAll(".chart > svg")].map(s => s.clientWidth),
  text: document.body.innerText,
  fetched: performance.getEntriesByType("resource").map(e => e.name)
    .filter(n => !n.startsWith("data:")),
  tried,
}), "*"));
</script>"""
FRAMES = """<!doctype html><body><script>
addEventListener("message", e => {
  const told = document.createElement("pre");
  told.textContent = encodeURIComponent(e.data);
  document.body.append(told);
});
</script>
<iframe src="page.html" width="390" height="800" style="border: 0"></iframe>
<iframe src="page.html" width="1280" height="800" style="border: 0"></iframe>
<iframe src="bad.html" width="391" height="800" style="border: 0"></iframe>"""
# A picture of elsewhere, and something too wide: the control of the test.
BAD = (
    '<img src="http://example.invalid/x.png" alt="elsewhere">'
    '<div style="width: 2000px">wide</div></main>'
)


def seen_in_a_browser(folder, pages):
    """What a browser tells of pages, at the widths of `FRAMES`: dicts by width."""
    found = (os.environ.get("IGAM_TF_BROWSER"), *map(shutil.which, BROWSERS))
    browser = next(filter(None, found), None)
    if browser is None:
        pytest.skip(f"there is no browser here ({', '.join(BROWSERS)})")
    policy = "style-src 'unsafe-inline'"
    for name, page in pages.items():
        assert policy in page
        page = page.replace(policy, f"{policy}; script-src 'unsafe-inline'", 1)
        page = page.replace("<title>", PROBE + "<title>", 1)
        (folder / name).write_text(page, "utf-8")
    frames = folder / "frames.html"
    frames.write_text(FRAMES, "utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-background-networking", f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=10000", "--dump-dom", frames.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    told = re.findall("<pre>(.*?)</pre>", done.stdout)
    return {frame["width"]: frame for frame in map(json.loads, map(unquote, told))}


def test_in_a_browser(page, tmp_path):
    """On a phone and a desktop all is shown, nothing is too wide, no request leaves."""
    pages = {"page.html": page, "bad.html": page.replace("</main>", BAD)}
    seen = seen_in_a_browser(tmp_path, pages)
    assert sorted(seen) == [390, 391, 1280]
    control = seen.pop(391)
    assert control["beyond"] > 0 and control["missing"] == ["elsewhere"]
    assert control["tried"] == ["http://example.invalid/x.png"]
    for frame in seen.values():
        assert frame["beyond"] <= 0
        assert frame["images"] == 7 and frame["missing"] == []
        assert frame["fetched"] == frame["tried"] == []
        assert all(label in frame["text"] for label in LABELS)
        assert len(frame["charts"]) == 6 and min(frame["charts"]) > 200
