"""Keeps what TFDS leaves behind inside pytest's own folder."""

import tempfile

import pytest


@pytest.fixture(autouse=True)
def _temporary_files_stay_here(tmp_path_factory, monkeypatch):
    """Each TFDS builder leaves an empty folder where temporary files go."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
