"""The command line answers at once, and says what is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spinelab.cli import COMMANDS, main


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"usage: spinelab {command}" in capsys.readouterr().out


def test_train_help_lists_the_choices_of_every_group(capsys):
    main(["train", "--help"])
    out = capsys.readouterr().out
    assert "attention_unet" in out
    assert "gm_challenge" in out


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["compare", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    heavy = "('torch', 'lightning', 'hydra', 'numpy', 'wandb')"
    code = (
        f"import sys; from spinelab.cli import main; main({arguments}); print([m for m in {heavy} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_unknown_command_names_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "model=unett"], ("model=unett", "did you mean unet")),
        (["train", "encoder=resnet19"], ("encoder=resnet19", "resnet18")),
        (["train", "trainer.max_epocs=3"], ("did you mean max_epochs",)),
        (["train", "trainer=cpu", "nonsense"], ("'nonsense'", "key=value")),
        (["train", "-m", "model=unet,unett"], ("model=unett", "did you mean unet")),
        (["train", "encoder=resnet18", "encoder.name=resnet19x", "data=phantom"], ("resnet19x",)),
        (["evaluate", "run=nowhere"], ("nowhere", "not a run folder")),
        (["evaluate", "rum=nowhere"], ("'rum'", "did you mean run")),
        (["predict", "run=nowhere", "input=a.nii.gz"], ("output= is missing",)),
        (["predict", "run=nowhere", "input=a.nii.gz", "output=b.nii.gz"], ("a.nii.gz", "no such file")),
        (["compare"], ("no runs are named",)),
        (["compare", "nowhere"], ("nowhere",)),
        (["phantom", "persons=3"], ("out= is missing",)),
        (["phantom", "out=x", "persons=many"], ("many",)),
        (["prepare", "data=phantomm"], ("did you mean phantom",)),
    ],
)
def test_bad_input_is_one_message_and_exit_status_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "what to do:" in err
    for word in words:
        assert word in err


def test_missing_data_folder_names_the_environment_variable(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SPINELAB_DATA", str(tmp_path / "none"))
    assert main(["prepare", "data=gm_challenge"]) == 2
    err = capsys.readouterr().err
    assert "SPINELAB_DATA" in err
    assert str(tmp_path / "none" / "gm_challenge") in err


LONG = (
    "import sys, spinelab.cli as cli, spinelab.commands.compare as command\n"
    "command.main = lambda arguments: [print('x' * 1000) for _ in range(1000)] and 0\n"
    "cli.explain = lambda name: 'x' * 1_000_000\n"
)


@pytest.mark.parametrize("words", [["compare", "runs"], ["compare", "--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(words):
    code = [sys.executable, "-c", f"{LONG}sys.exit(cli.main({words}))"]
    with subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
