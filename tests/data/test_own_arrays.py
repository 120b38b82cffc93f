"""Arrays in files and tables of paths, and everything wrong with them."""

import sys

import numpy as np
import pytest
from own_images import folder, labels_by_colour

from igam_tf import data
from igam_tf.data import registry

pytestmark = pytest.mark.fast


def arrays(count=20, dtype=np.uint8):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    images = np.broadcast_to(images * 12, (count, 5, 4, 3)).copy()
    return images.astype(dtype), np.arange(count) % 2


def test_npz_of_one_level_and_a_pair_of_npy(tmp_path):
    images, labels = arrays()
    np.savez(tmp_path / "all.npz", images=images, labels=labels)
    np.save(tmp_path / "i.npy", images)
    np.save(tmp_path / "l.npy", labels[:, None])
    pair = f"{tmp_path}/i.npy,{tmp_path}/l.npy"
    for name in (str(tmp_path / "all.npz"), pair):
        task = data.read(name)
        assert (len(task.train), len(task.test), task.image_shape) == (16, 4, (5, 4, 3))
        numbers = task.train.images[:, 0, 0, 0] // 12
        np.testing.assert_array_equal(numbers % 2, task.train.labels)
    assert registry.find(pair).class_names == ("0", "1")


@pytest.mark.parametrize(
    "scale, dtype", [(1, np.uint8), (1, np.float64), (1 / 255, np.float32)]
)
def test_npz_of_two_levels_in_any_range(tmp_path, scale, dtype):
    images, labels = arrays()
    x = (images * scale).astype(dtype)[..., 0]
    one_hot = np.eye(2)[labels]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=one_hot, x_test=x, y_test=labels)
    task = data.read(tmp_path / "a.npz", test_examples=6)
    assert task.image_shape == (5, 4, 1) and len(task.test) == 6
    top = task.train.images.max()
    assert float(top) == pytest.approx(228 if dtype == np.uint8 else 228 / 255)
    assert sorted(task.test.labels) == [0, 0, 0, 1, 1, 1]


def with_arrays(**changes):
    images, labels = arrays()
    return {"images": images, "labels": labels, **changes}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": arrays()[1] + 1}, "no image of '?0"),
        ({"labels": arrays()[1] * 0}, r"one class only \('0'\)"),
        ({"labels": arrays()[1] - 1}, "expected whole numbers from 0"),
        ({"labels": arrays()[1][:3]}, "expected .n, height, width, channels"),
        ({"images": np.zeros((20, 3, 8, 8), np.uint8)}, "the channels come first"),
        ({"images": arrays()[0] // 255}, "in whole numbers; expected grey levels"),
        ({"images": arrays()[0].astype("f4") / 100}, "16"),
        ({"images": arrays()[0].astype("f4") - 1}, "range from -1 to 227"),
        ({"images": arrays()[0] * np.float32(np.nan)}, "NaN"),
        ({"images": np.full((20, 4, 4, 3), None)}, "damaged, or holds no plain arrays"),
    ],
)
def test_arrays_that_make_no_sense(tmp_path, changes, message):
    np.savez(tmp_path / "a.npz", **with_arrays(**changes))
    with pytest.raises(ValueError, match=message):
        data.read(tmp_path / "a.npz")


def test_files_of_arrays_that_are_none(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="a.npz is damaged"):
        registry.find(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", pixels=np.zeros(3))
    with pytest.raises(ValueError, match="holds the arrays 'pixels'; expected images"):
        registry.find(tmp_path / "b.npz")
    np.save(tmp_path / "c.npy", np.zeros(3))
    with pytest.raises(ValueError, match="images.npy,labels.npy"):
        registry.find(tmp_path / "c.npy")
    images, labels = arrays()
    np.savez(tmp_path / "d.npz", images=images, labels=labels)
    with pytest.raises(ValueError, match="arrays have one size"):
        registry.find(tmp_path / "d.npz", image_size=8)


def write_table(path, rows, head="path,label"):
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_a_table_of_paths(tmp_path):
    folder(tmp_path / "images", count=5)
    rows = [f"images/{c}/{i}.png,{c}" for c in ("dog", "cat") for i in range(5)]
    task = data.read(write_table(tmp_path / "t.csv", rows), progress=False)
    assert task.class_names == ("cat", "dog")
    assert (task.train_total, task.test_total) == (8, 2)
    np.testing.assert_array_equal(labels_by_colour(task.train), task.train.labels)
    tabs = [
        f"images/{c}/{i}.png\t{n}\t{'val' if i else 'train'}"
        for c, n in (("cat", 2), ("dog", 10))
        for i in range(3)
    ]
    path = write_table(tmp_path / "t.tsv", tabs, "File\tClass\tSplit")
    task = data.read(path, progress=False)
    assert task.class_names == ("2", "10")
    assert (task.train_total, task.test_total) == (2, 4)


def test_a_parquet_table(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    folder(tmp_path, count=3)
    paths = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    table = pyarrow.table({"file_name": paths, "label": [0, 0, 0, 1, 1, 1]})
    parquet.write_table(table, tmp_path / "t.parquet")
    task = data.read(tmp_path / "t.parquet", progress=False)
    assert task.class_names == ("0", "1") and task.train_total == 4
    (tmp_path / "u.parquet").write_text("none")
    with pytest.raises(ValueError, match="is no Parquet table"):
        registry.find(tmp_path / "u.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        registry.find(tmp_path / "u.parquet", split_seed=1)


@pytest.mark.parametrize(
    "head, rows, message",
    [
        ("a,b", ["x.png,0"], "no column with the path of an image among 'a', 'b'"),
        ("path,b", ["x.png,0"], "no column with its class"),
        ("path,label", ["x.png,0", "y.png"], "row 2 has 1 values"),
        ("path,label", ["x.png,0", ",1"], "row 2 has the path ''"),
        ("path,label", ["x.png,0", "x.png,1"], "'x.png' is there more than once"),
        ("path,label", ["x.png,0", "y.png,0"], "one class only"),
        ("path,label", ["x.png,0", "y.png,1"], "'0' has 1 image"),
        ("path,label,split", ["x.png,0,a", "y.png,1,b"], "column of splits holds 'a'"),
        ("path,label,split", ["x.png,0,train", "y.png,1,test"], "different classes"),
        ("path,label", ["x.png,0", "y.png,1"] * 1 + ["z.png,0", "w.png,1"], "No such"),
    ],
)
def test_tables_that_make_no_sense(tmp_path, head, rows, message):
    with pytest.raises(ValueError, match=message):
        registry.find(write_table(tmp_path / "t.csv", rows, head))
