"""`spinelab data`: what a person types and reads."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
import zipfile

import nibabel as nib
import numpy as np
import pytest
from omegaconf import OmegaConf

from spinelab import build
from spinelab.cli import main
from spinelab.commands import _fetch
from spinelab.config import compose_config
from spinelab.data.fetch.catalogue import RemoteFile, RemoteSet


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPINELAB_DATA", raising=False)
    return tmp_path


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """A set `mini` on a web server."""
    folder = tmp_path / "site"
    folder.mkdir()
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        archive.writestr("images/1_t1.mha", b"x" * 100_000)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    digest = hashlib.sha256((folder / "images.zip").read_bytes()).hexdigest()
    file = RemoteFile(
        "images.zip", f"http://127.0.0.1:{server.server_port}/images.zip", f"sha256:{digest}", into="images"
    )
    mini = RemoteSet(
        "mini", "A small set", 1, 0.001, "CC BY 4.0", "Somebody (2024)", "https://x", "tests", (file,), "spider"
    )
    monkeypatch.setattr(_fetch, "catalogue", lambda: {"mini": mini})
    yield mini
    server.shutdown()
    server.server_close()


def test_the_sets_are_listed(here, capsys):
    assert main(["data", "fetch"]) == 0
    out = capsys.readouterr().out
    for name in ("spider", "spine_generic", "sct_testing", "msd_heart"):
        assert name in out
    assert "CC BY 4.0" in out


def test_licence_and_citation_come_before_the_download(here, offered, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(_fetch.fetching, "fetch", lambda *_: seen.append(capsys.readouterr().out))
    assert main(["data", "fetch", "mini", "root=data/mini"]) == 0
    for word in ("CC BY 4.0", "Somebody (2024)", "images.zip", "sha256:", "free", str(here / "data/mini")):
        assert word in seen[0]


def test_a_set_is_downloaded_and_the_next_step_named(here, offered, capsys):
    assert main(["data", "fetch", "mini", "root=data/mini"]) == 0
    out = capsys.readouterr().out
    assert (here / "data/mini/images/1_t1.mha").stat().st_size == 100_000
    assert f"spinelab prepare data=spider data.root={here / 'data/mini'}" in out
    assert main(["data", "fetch", "mini", "root=data/mini"]) == 0
    assert "already there" in capsys.readouterr().out


def test_by_default_it_goes_where_the_configurations_look(here, offered, monkeypatch):
    monkeypatch.setenv("SPINELAB_DATA", str(here / "all"))
    assert main(["data", "fetch", "mini"]) == 0
    assert (here / "all/mini/images").is_dir()


def test_adopting_writes_a_configuration_once(here, discs, capsys):
    assert main(["data", "adopt", str(discs)]) == 0
    out = capsys.readouterr().out
    assert "recognised as folder" in out
    assert "8 cases of 8 persons" in out
    written = (here / "conf/data/discs.yaml").read_text()
    assert OmegaConf.create(written).source.mask == "masks/{name}"
    (here / "conf/data/discs.yaml").write_text("edited")
    assert main(["data", "adopt", str(discs)]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert (here / "conf/data/discs.yaml").read_text() == "edited"
    assert main(["data", "adopt", str(discs), "overwrite=true"]) == 0
    assert (here / "conf/data/discs.yaml").read_text() == written


def test_the_name_and_the_file_can_be_chosen(here, discs):
    assert main(["data", "adopt", str(discs), "name=round", "output=round.yaml"]) == 0
    assert OmegaConf.load(here / "round.yaml").name == "round"


def test_every_command_finds_an_adopted_configuration(here, discs):
    assert main(["data", "adopt", str(discs), "name=mine"]) == 0
    config = compose_config(["data=mine"])
    assert (config.data.name, config.data.root) == ("mine", str(discs))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ("fetch", "adopt")),
        (["fetsh"], ("did you mean fetch",)),
        (["fetch", "spidr"], ("did you mean spider",)),
        (["fetch", "spider", "msd_heart"], ("one set at a time",)),
        (["fetch", "spider", "rout=x"], ("did you mean root",)),
        (["adopt"], ("0 folders",)),
        (["adopt", "nowhere"], ("nowhere", "does not exist")),
        (["adopt", "."], ("no files",)),
        (["adopt", ".", "overwrite=perhaps", "output=there.yaml"], ("no files",)),
    ],
)
def test_bad_input(arguments, words, here, capsys):
    assert main(["data", *arguments]) == 2
    err = capsys.readouterr().err
    assert "what to do:" in err
    for word in words:
        assert word in err


def test_landmarks_are_learnt_from_training_persons_alone(here, discs, capsys):
    settings = ["data=folder", f"data.root={discs}", "data.source.labels={1: disc}", "data.labels.classes=[disc]"]
    assert main(["data", "landmarks", *settings]) == 0
    before = capsys.readouterr().out
    written = OmegaConf.create(before)
    assert written.normalisation == "nyul"
    assert len(written.landmarks) == 11
    split = build.split(config := compose_config(settings), build.cases(config))
    for side, same in ((split.test, True), (split.train, False)):
        path = discs / "images" / f"{side[0]}.nii.gz"
        scan = nib.load(path)
        nib.save(nib.Nifti1Image((np.asarray(scan.dataobj).astype(float) ** 2).astype(np.int32), scan.affine), path)
        assert main(["data", "landmarks", *settings]) == 0
        assert (capsys.readouterr().out == before) is same
    chosen = [f"data.preprocessing.landmarks={written.landmarks}", "data.preprocessing.normalisation=nyul"]
    assert build.preprocessing(compose_config([*settings, *chosen])).landmarks == (tuple(written.landmarks),)
