"""`fetch` against a server on the loopback address that misbehaves on purpose."""

import errno
import hashlib
import http.server
import io
import os
import stat
import threading
import zipfile

import numpy as np
import pytest
from small_checkpoints import equal_weights, saved, small_net, tensors_of, write

from igam_tf import checkpoints
from igam_tf.checkpoints import CheckpointError, archives
from igam_tf.checkpoints.archives import unpack
from igam_tf.checkpoints.download import _Pace
from igam_tf.checkpoints.published import (
    BY_HAND,
    DOWNLOADS,
    Download,
    instructions,
)
from igam_tf.cli.checkpoints import main


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.content`; `server.cuts` connections end half way."""

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if server.status != 200:
            self.send_error(server.status)
            return
        content, start = server.content, 0
        if server.supports_ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].split("=")[1].rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            total = len(content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Type", server.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.content_type, server.status = b"", "application/zip", 200
    server.cuts, server.supports_ranges, server.ranges = 0, True, []
    server.url = f"http://127.0.0.1:{server.server_port}/adv_trained.zip"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(zip bytes, model): what MadryLab would publish."""
    folder = tmp_path_factory.mktemp("published")
    model = saved(folder)
    files = {f"models/adv_trained/{p.name}": p.read_bytes() for p in folder.iterdir()}
    return zip_of(files), model


def zip_of(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def fetch(server, folder, sha256=None, **kwargs):
    downloads = {"net": Download(server.url, sha256, "https://example.org/challenge")}
    kwargs = {"timeout": 0.5} | kwargs
    return checkpoints.fetch("net", folder, downloads=downloads, **kwargs)


def names_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_fetched_network_loads(server, published, tmp_path, capsys):
    server.content, model = published
    digest = hashlib.sha256(server.content).hexdigest()
    folder = fetch(server, tmp_path, digest)
    assert folder == tmp_path / "net" / "models" / "adv_trained"
    assert f"sha256 {digest}" in capsys.readouterr().out
    assert equal_weights(checkpoints.load(folder), model)
    assert {name.split("/")[0] for name in names_in(tmp_path)} == {"net"}
    with pytest.raises(FileExistsError, match="exists already"):
        fetch(server, tmp_path)


def test_cut_connections_are_resumed(server, published, tmp_path):
    server.content, server.cuts = published[0], 2
    fetch(server, tmp_path, hashlib.sha256(server.content).hexdigest())
    half = len(server.content) // 2
    assert server.ranges[:2] == [None, f"bytes={half}-"] and len(server.ranges) == 3


def test_server_without_ranges_starts_again(server, published, tmp_path):
    server.content, server.cuts, server.supports_ranges = published[0], 1, False
    fetch(server, tmp_path, hashlib.sha256(server.content).hexdigest())
    assert len(server.ranges) == 2


def test_interrupted_download_is_kept_and_taken_up(server, published, tmp_path):
    server.content, server.cuts = published[0], 99
    with pytest.raises(ConnectionError, match="cut .2 times..*example.org.*by hand"):
        fetch(server, tmp_path, retries=1)
    kept = (tmp_path / "net.zip.part").stat().st_size
    assert 0 < kept < len(server.content)
    server.cuts = 0
    fetch(server, tmp_path)
    assert server.ranges[-1] == f"bytes={kept}-"


def test_complete_part_file_is_used(server, published, tmp_path):
    server.content = published[0]
    (tmp_path / "net.zip.part").write_bytes(server.content)
    assert fetch(server, tmp_path).is_dir()


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_download_outlives_what_is_no_fault_of_it(
    server, published, tmp_path, monkeypatch, fault
):
    """A full disk, or Ctrl-C, while the zip is unpacked."""
    server.content = published[0]

    def fails(*arguments):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(archives, "_write", fails)
        with pytest.raises((CheckpointError, KeyboardInterrupt)) as caught:
            fetch(server, tmp_path)
    assert names_in(tmp_path) == ["net.zip.part"]
    if isinstance(fault, OSError):
        assert "make room" in str(caught.value)
    asked = len(server.ranges)
    assert checkpoints.load(fetch(server, tmp_path)).count_params() > 0
    # Nothing was downloaded again.
    assert server.ranges[asked:] == [f"bytes={len(server.content)}-"]


def test_wrong_checksum_removes_the_file(server, published, tmp_path):
    server.content = published[0]
    with pytest.raises(CheckpointError, match="authors published 0000"):
        fetch(server, tmp_path, "0" * 64)
    assert not names_in(tmp_path)


def test_checksum_of_a_file_in_the_zip(server, published, tmp_path):
    server.content = published[0]
    with zipfile.ZipFile(io.BytesIO(server.content)) as archive:
        data = next(n for n in archive.namelist() if "data-" in n)
        digest = hashlib.sha256(archive.read(data)).hexdigest()
    assert fetch(server, tmp_path, digest).is_dir()


@pytest.mark.parametrize("content_type", ["text/html", "application/zip"])
def test_web_page_in_place_of_the_zip(server, tmp_path, content_type):
    server.content = b"<!DOCTYPE html><html>Sign in</html>"
    server.content_type = content_type
    with pytest.raises(ConnectionError, match="web page.*by hand"):
        fetch(server, tmp_path)
    assert not names_in(tmp_path) and len(server.ranges) == 1


def test_gone_address(server, tmp_path):
    server.status = 404
    with pytest.raises(ConnectionError, match="404 .*example.org.*pass the zip"):
        fetch(server, tmp_path)
    assert len(server.ranges) == 1


def test_server_that_does_not_answer(server, tmp_path):
    server.url = "http://127.0.0.1:9/adv_trained.zip"
    with pytest.raises(ConnectionError, match="127.0.0.1:9.*by hand"):
        fetch(server, tmp_path, retries=0)


@pytest.mark.parametrize(
    "name", ["../evil.index", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil"]
)
def test_names_that_lead_outside(server, tmp_path, name):
    server.content = zip_of({"checkpoint": b"", name: b"evil"})
    with pytest.raises(CheckpointError, match="leads outside.*nothing was unpacked"):
        fetch(server, tmp_path / "in")
    assert not names_in(tmp_path)


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("checkpoint")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(CheckpointError, match="link or device"):
        unpack(tmp_path / "link.zip", tmp_path)


def test_zip_bombs_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("checkpoint.index", bytes(10_000_000))
    with pytest.raises(CheckpointError, match="unpacks to 10000000 bytes"):
        unpack(tmp_path / "b.zip", tmp_path, max_bytes=1_000_000)
    assert os.listdir(tmp_path) == ["b.zip"]


def test_damaged_zip_is_removed_and_can_be_fetched_again(server, published, tmp_path):
    content = bytearray(published[0])
    content[len(content) // 3] ^= 0xFF
    server.content = bytes(content)
    with pytest.raises(CheckpointError, match="cannot be unpacked"):
        fetch(server, tmp_path)
    assert not names_in(tmp_path)
    server.content = published[0]
    assert fetch(server, tmp_path).is_dir()


def test_unknown_name_and_the_published_addresses(capsys):
    with pytest.raises(ValueError, match="'cifar100'.*cifar10_adv_trained"):
        checkpoints.fetch("cifar100")
    with pytest.raises(SystemExit):
        main(["fetch", "cifar100"])
    assert "cifar10_adv_trained" in capsys.readouterr().err
    for download in DOWNLOADS.values():
        assert download.url.startswith("https://")
        assert download.sha256 is None or len(bytes.fromhex(download.sha256)) == 32


@pytest.mark.parametrize("name", BY_HAND)
def test_the_authors_checkpoints_say_what_to_download(tmp_path, capsys, name):
    assert main(["fetch", name, "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    folder = BY_HAND[name].folder
    assert "https://github.com/alvinchangw/IGAM_CVPR2020" in said and "Drive" in said
    assert f"describe {tmp_path}/{folder}" in said
    assert f"load('{tmp_path}/{folder}', " in said
    assert not list(tmp_path.iterdir())


def test_authors_checkpoints_load_as_they_say(tmp_path):
    """The options that the instructions name, on stand-ins of the same contents."""
    teacher, student = small_net(), small_net(normalization="zero_mean_unit_norm")
    whole, trained = tensors_of(teacher), tmp_path / "cifar10_adv_trained"
    write(trained, whole)
    heads = {"target_task_logit/DW": np.ones((64, 100), "float32")}
    heads["target_task_logit/biases"] = np.ones(100, "float32")
    finetuned = BY_HAND["igam_cifar10_to_cifar100_teacher"]
    kept = {name: value for name, value in whole.items() if "/moving_" not in name}
    write(tmp_path / finetuned.folder, kept | heads)
    option = "moving_statistics='models/cifar10_adv_trained'"
    assert option in instructions("igam_cifar10_to_cifar100_teacher")
    loaded = checkpoints.load(tmp_path / finetuned.folder, moving_statistics=trained)
    assert loaded.output_shape == (None, 100)
    igam = BY_HAND["igam_cifar10_to_cifar100_student"]
    write(tmp_path / igam.folder, whole | heads | tensors_of(student, "student"))
    assert igam.option == "part='student'"
    loaded = checkpoints.load(tmp_path / igam.folder, part="student")
    assert equal_weights(loaded, student)


def test_a_zip_without_a_checkpoint_is_not_kept(server, tmp_path):
    server.content = zip_of({"models/README.txt": b"moved"})
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        fetch(server, tmp_path)
    assert names_in(tmp_path) == []


def test_a_trickle_counts_as_cut(monkeypatch):
    """A byte in half a second never lets a connection time out."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = _Pace(30.0)
    for _ in range(100):
        now[0] += 1.0
        pace.check(2000)
    with pytest.raises(TimeoutError, match="bytes came in"):
        for _ in range(100):
            now[0] += 0.5
            pace.check(1)
