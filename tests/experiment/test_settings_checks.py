"""Every setting of every row is refused when it is parsed, by the name of its flag."""

import pathlib

import pytest

from igam_tf.cli import recipes
from igam_tf.experiment import Experiment

pytestmark = pytest.mark.fast

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BASE = {"source": "digits", "target": "digits_parity", "eps": 0.15, "step_size": 0.05}


def _parse(*arguments):
    flagfile = f"--flagfile={REPOSITORY / 'flags' / 'quickstart.cfg'}"
    return recipes.parse([flagfile, *arguments])[0]


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--step_size=2"], "--step_size=2: .*2/255"),
        (["--step_size=0"], "--step_size"),
        (["--teacher_step_size=2"], "--teacher_step_size=2"),
        (["--eps=8"], "--eps=8"),
        (["--norm=l2", "--eps=128"], "--eps=128.*divide by 255"),
        (["--norm=l1", "--eps=12"], "--norm=l1 with --panel_examples=.*Linf and L2"),
        (
            ["--norm=l1", "--panel_examples=0", "--eps=65"],
            "--eps=65.* at most 64, the L1 distance",
        ),
        (
            ["--norm=l1", "--panel_examples=0", "--eps=12", "--step_size=0.1"],
            "--step_size=0.1: 100 steps of PGD.*--step_size=1.5",
        ),
        (
            [
                "--norm=l1",
                "--panel_examples=0",
                "--eps=12",
                "--step_size=1.5",
                "--methods=pgd",
                "--adversarial_step_size=8/765",
            ],
            "--adversarial_step_size=0.0104575: 100 steps of PGD",
        ),
        (
            [
                "--norm=l1",
                "--panel_examples=0",
                "--step_size=1",
                "--eps=4",
                "--attacks=clean,spsa",
            ],
            "--attacks: attack 'spsa' in L1: expected a norm .*Linf and L2",
        ),
        (["--attacks=clean,ddn"], "--attacks: attack 'ddn' in Linf: .*L2"),
        (["--epoch_attack=ddn@l1:3"], "--epoch_attack: attack 'ddn@l1:3' in L1"),
        (["--attacks=pgd20@l1:65"], "--attacks: 'pgd20@l1:65': .*at most 64, the L1"),
        (["--batch_norm=batch", "--attacks=fmn"], "--batch_norm=batch"),
        (["--pag_classes=99"], "--pag_classes=99: digits_parity has 2 classes"),
        (
            ["--score_model=/nope.keras", "--pag_targets=sbg"],
            "--score_model=/nope.keras",
        ),
        (["--batch_norm=batch", "--attacks=autoattack"], "--batch_norm=batch"),
        (
            ["--batch_norm=batch", "--attacks=clean,autoattack-rand"],
            "--batch_norm=batch",
        ),
        (["--discriminator_channels=0"], "--discriminator_channels=0"),
        (["--discriminator_channels=16,-1"], "--discriminator_channels=16,-1"),
        (["--epochs=99999999999999999999"], "--epochs=9+: expected at most 2147483647"),
        (["--attacks=pgd99999999999"], "--attacks.*at most 2147483647"),
        (["--attacks=square3000000000"], "--attacks.*at most 2147483647"),
        (["--ema_momentum=1"], "--ema_momentum=1"),
        (["--learning_rate=1e39"], "--learning_rate=1e.39"),
        (["--learning_rate_warmup=0.1"], "warmup=0.1 with .*schedule=steps: expected"),
        (
            ["--learning_rate_schedule=cosine", "--learning_rate_end=9"],
            "--learning_rate_end=9: expected at most --learning_rate",
        ),
        (["--label_smoothing=1"], "--label_smoothing=1.*less than 1"),
        (["--augmentation=none"], "--augmentation=none: expected a path, your own im"),
        (["--test_fraction=0.5"], "--test_fraction=0.5: expected a path"),
        (["--skip_unreadable"], "--skip_unreadable: expected a path"),
        (["--crop_area=0.5"], "--crop_area=0.5: expected a path"),
        (["--center_crop=0.5"], "--center_crop=0.5: expected a path"),
        (["--rand_augment=11"], "--rand_augment=11.*at most 10"),
        (
            ["--mixup=0.8", "--controls=shuffled"],
            "--mixup=0.8 with --controls=shuffled",
        ),
        (
            ["--label_smoothing=0.1", "--methods=igam,rslad"],
            "--label_smoothing=0.1 with --methods=rslad: expected --label_smoothing=0",
        ),
        (["--label_smoothing=0.1", "--methods=igdm"], "=0.1 with --methods=igdm"),
        (
            [
                "--label_smoothing=0.1",
                "--methods=rrm",
                "--rrm_cross_entropy_weight=0",
            ],
            "=0.1 with --methods=rrm",
        ),
    ],
)
def test_flags_are_refused_when_they_are_parsed(flags, message):
    with pytest.raises(ValueError, match=message):
        _parse("--methods=standard,pag", *flags)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": "3"}, "--epochs='3': expected a whole number"),
        ({"epochs": 1.5}, "--epochs=1.5: expected a whole number"),
        ({"epochs": True}, "--epochs=True: expected a whole number"),
        ({"download": "no"}, "--download='no': expected true or false"),
        ({"learning_rate": None}, "--learning_rate=None: expected a number"),
        ({"methods": "igam"}, "--methods='igam': expected names"),
        ({"run_dir": pathlib.Path("x")}, "--run_dir=.*expected a text"),
    ],
)
def test_other_types_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**BASE, **settings)


def test_images_without_room_for_edges_are_refused():
    tiny = {"target": "points_on_a_line", "eps": 0.08, "step_size": 0.02}
    Experiment(**tiny, methods=("standard",))
    with pytest.raises(ValueError, match="--target: The row edges of images of 1x2"):
        Experiment(**tiny, methods=("standard", "edges"))
    with pytest.raises(ValueError, match="--statistics, --target: edge_correlation"):
        Experiment(**tiny, methods=("standard",), statistics=("edge_correlation",))


def test_what_is_right_is_taken():
    smoothed = {"label_smoothing": 0.1, "mixup": 0.8}
    Experiment(**BASE, **smoothed, methods=("igam", "kdiga", "rrm"))
    Experiment(**BASE, mixup=0.8, cutmix=1.0, methods=("rslad", "igdm"))
    assert Experiment(**BASE, methods=["igam", "pag"]).methods == ("igam", "pag")
    # The whole ball in one step, a ball of radius 0, a teacher that is not trained
    # here.
    Experiment(**{**BASE, "step_size": 0.3})
    Experiment(**{**BASE, "eps": 0.0})
    Experiment(**BASE, teacher_checkpoint="x.keras", teacher_step_size=1.0)
    Experiment(**BASE, batch_norm="batch", attacks=("clean", "apgd-ce"))
    Experiment(**BASE, attacks=("clean", "ddn@l2:0.5", "autoattack@l1:4"))
    in_l1 = {**BASE, "eps": 4.0, "step_size": 0.5, "norm": "l1", "panel_examples": 0}
    Experiment(**in_l1, attacks=("clean", "pgd20", "fmn", "autoattack", "spsa@l2:0.1"))
