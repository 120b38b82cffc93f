"""The zoo: its list is what was recorded, and its networks are those measured."""

import json
import shutil

import numpy as np
import pytest

import igam_tf
from igam_tf import data, zoo
from igam_tf.evaluation.outcomes import unpacked
from igam_tf.zoo import loading
from tools import zoo_entries


def test_entries_are_those_of_the_results():
    recorded = json.loads((zoo_entries.NETWORKS / "entries.json").read_text())
    assert recorded == zoo_entries.entries()


def test_list_and_table():
    names = zoo.list()
    assert "cifar10_igam_mnist" in names and "digits_parity_igam" in names
    assert zoo.list(shipped=True) == [
        name for name in names if name.startswith("digits_parity_")
    ]
    entry = zoo.entry("cifar10_igam_mnist")
    assert (entry.clean, entry.autoattack, entry.autoattack_examples) == (
        41.0,
        11.0,
        100,
    )
    lines = zoo.table(dataset="cifar10").splitlines()
    assert len(lines) == 2 + len(zoo.list(dataset="cifar10"))
    assert "| Linf, 8/255" in lines[2]
    robust = [float(line.split("|")[4]) for line in lines[2:]]
    assert robust == sorted(robust, reverse=True)


@pytest.mark.parametrize("name", zoo.list(shipped=True))
def test_a_shipped_network_gets_right_what_was_recorded(name):
    """All images but one: another processor may round a tie the other way."""
    model = zoo.load(name)
    entry = zoo.entry(name)
    test = data.read("digits_parity").test
    images, labels = (a[: entry.num_examples] for a in (test.images, test.labels))
    rows = json.loads((zoo_entries.REPOSITORY / zoo_entries.SHIPPED).read_text())[
        "rows"
    ]
    bits = rows[name]["evaluation"]["outcomes"]["correct"]["clean"]
    right = model.predict_on_batch(images).argmax(axis=1) == labels
    assert (right != unpacked(bits, entry.num_examples)).sum() <= 1
    assert model.count_params() == entry.num_parameters


def test_a_network_that_was_rebuilt(tmp_path):
    name = "cifar10_igam_mnist"
    with pytest.raises(
        FileNotFoundError, match="flagfile=flags/table1.cfg --size=small"
    ):
        zoo.load(name, folder=tmp_path)
    path = tmp_path / zoo.entry(name).student
    path.parent.mkdir(parents=True)
    shutil.copy(zoo_entries.NETWORKS / "digits_parity_finetune.keras", path)
    assert zoo.load(name, folder=tmp_path).output_shape == (None, 2)


def test_errors_name_what_there_is(tmp_path):
    with pytest.raises(
        ValueError, match="digits_parity_pgd.*Did you mean 'digits_parity_"
    ):
        igam_tf.zoo.load("digits_parity_igm")
    with pytest.raises(ValueError, match="'cifar1000'.*Did you mean 'cifar100'"):
        zoo.list(dataset="cifar1000")
    changed = tmp_path / "a.keras"
    changed.write_bytes(b"other")
    with pytest.raises(ValueError, match="damaged or changed"):
        loading.check_digest(changed, zoo.entry("digits_parity_igam").sha256)
    with pytest.raises(FileNotFoundError, match="install it again"):
        loading.check_digest(tmp_path / "none.keras", "")
    assert np.isfinite(zoo.entry("digits_parity_igam").autoattack_seconds)


def test_the_command(capsys):
    from igam_tf.cli import main

    assert main.main(["zoo", "--dataset=cifar100"]) == 0
    assert capsys.readouterr().out.strip() == zoo.table(dataset="cifar100")
    assert main.main(["zoo", "cifar10_igam_mnist"]) == 0
    assert (
        "rebuild: python run.py --flagfile=flags/table1.cfg" in capsys.readouterr().out
    )
    for arguments, message in (
        (["--dataset=cifar1"], "no network of the data set 'cifar1': expected one of"),
        (["cifar10_igam_mnist", "--dataset=cifar10"], "expected a NAME or --dataset"),
    ):
        assert main.main(["zoo", *arguments]) == 1
        told = capsys.readouterr()
        assert message in told.err and told.out == ""
    assert main.main(["zoo", "no_such"]) == 1
    assert "the zoo has no network 'no_such'" in capsys.readouterr().err
