"""The boundary of the commands: mistakes are one paragraph and code 2, unknown errors name their report."""

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from simvtp import evaluate, finetune, pretrain, run
from simvtp.cli import boundary
from simvtp.config.plugins.loading import load_plugin
from simvtp.errors import ConfigError, DataError, NotFinite, printable
from simvtp.runtime.locks import Busy
from tests.simvtp.config.plugins.own import EVALUATOR

Call = Callable[..., tuple[int, str]]


def raising(error: Exception) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("mask.video: no"), 2, "error: mask.video: no\n"),
        (DataError("a.csv: no"), 2, "error: a.csv: no\n"),
        (NotFinite("pretrain: a loss is not finite"), 2, "error: pretrain: a loss is not finite\n"),
        (Busy("held"), 3, "busy: held\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), 2, "error: /a/b: Permission denied"),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/b"),
            2,
            "error: /a/b: there is a file where a folder is meant",
        ),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), 2, "File name too long"),
        (ConfigError("csv:\x1b[31mred\x07[bold].csv"), 2, r"error: csv:\x1b[31mred\x07[bold].csv"),
        (ConfigError("\udcff.csv"), 2, r"error: \udcff.csv"),
    ],
)
def test_known_errors(error: Exception, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary(raising(error)) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("error", [KeyError("lost"), OSError(errno.EIO, "Input/output error"), ZeroDivisionError()])
def test_an_unknown_error_names_its_report(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary(raising(error)) == 1
    said = capsys.readouterr().err
    match = re.search(r"the report is (\S+)\n$", said)
    assert match
    report = Path(match[1])
    assert report.read_text().startswith("Traceback (most recent call last)")
    assert "Traceback" not in said
    report.unlink()


@pytest.mark.usefixtures("plugins_apart")
def test_an_error_in_the_code_of_a_plugin_names_the_plugin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(EVALUATOR + "\n\ndef fails():\n    raise AttributeError('no such thing')\n")
    load_plugin(str(path))
    line = path.read_text().splitlines().index("    raise AttributeError('no such thing')") + 1
    assert boundary(sys.modules["mine"].fails) == 1
    said = capsys.readouterr().err
    match = re.fullmatch(
        rf"error: plugin {path}, line {line}: AttributeError: no such thing\. The report is (\S+)\n", said
    )
    assert match
    Path(match[1]).unlink()


def test_the_code_of_a_command_is_given_on() -> None:
    assert boundary(lambda: 1) == 1
    assert boundary(lambda: None) == 0


def test_printable_keeps_text_and_writes_out_control_characters() -> None:
    assert printable("ä 中 [red]\n\tx") == "ä 中 [red]\n\tx"
    assert printable("\x1b]0;t\x07\r\x9b") == r"\x1b]0;t\x07\r\x9b"


@pytest.fixture
def call(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Exit code and stderr of a command on the very small corpus, with other settings."""

    def called(module: ModuleType, *words: str, **changes: str) -> tuple[int, str]:
        settings = quick | {key.replace("__", "."): value for key, value in changes.items()}
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        results = [] if "--results" in words else ["--results", str(tmp_path / "results")]
        monkeypatch.setattr("sys.argv", ["command", *sets, *results, *words])
        capsys.readouterr()
        code = boundary(module._main)
        return code, capsys.readouterr().err

    return called


def test_stages_out_of_order(call: Call) -> None:
    code, said = call(finetune)
    assert (code, said.count("error:"), "Traceback" in said) == (2, 1, False)
    assert "run `python -m simvtp.pretrain` first" in said
    code, said = call(evaluate)
    assert (code, said.count("error:"), "Traceback" in said) == (2, 1, False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrain__batch": "1000"}, "less than one batch"),
        ({"data__finetune": "csv:~nosuchuser/x.csv"}, "~nosuchuser/x.csv does not exist"),
        ({"data__finetune": f"csv:{'x' * 300}.csv"}, "File name too long"),
        ({"data__tokenizer": f"{'x' * 300}/vocab.txt"}, "File name too long"),
        ({"data__skip": f"/{'x' * 300}"}, "x"),
        ({"model__init": "~nosuchuser/w.pth"}, "~nosuchuser/w.pth does not exist"),
        ({"model__init": "x" * 300}, "File name too long"),
        ({"data__finetune": "webvid:/etc/passwd"}, "/etc/passwd"),
        ({"data__finetune": "csv:/etc"}, "/etc"),
        ({"data__finetune": "csv:\udcff.csv"}, "UTF-8"),
    ],
)
def test_ordinary_mistakes(call: Call, changes: dict[str, str], message: str) -> None:
    code, said = call(run, **changes)
    assert message in said
    assert (code, said.strip().count("error")) == (2, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu(call: Call) -> None:
    code, said = call(pretrain, machine__device="cuda")
    assert (code, "machine.device: cuda is asked for" in said) == (2, True)


@pytest.mark.parametrize("variables", [{"RANK": "abc"}, {"WORLD_SIZE": "two"}, {"MASTER_PORT": "-"}, {"RANK": "2"}])
def test_variables_of_launchers(call: Call, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "LOCAL_RANK": "0"}
    for name, value in (usual | variables).items():
        monkeypatch.setenv(name, value)
    code, said = call(pretrain)
    assert code == 2
    assert "use torchrun, or unset" in said


def test_results_that_are_a_file_or_no_utf8(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = call(pretrain, "--results", str(tmp_path / "file"))
    assert code == 2
    assert str(tmp_path / "file") in said
    with pytest.raises(SystemExit, match="2"):
        call(pretrain, "--results", os.fsdecode(b"\xff"))


def test_a_damaged_record_is_named(call: Call, tmp_path: Path) -> None:
    assert call(run)[0] == 0
    (result,) = tmp_path.glob("results/runs/*/result.json")
    (record,) = tmp_path.glob("results/runs/*/finetuned.json")
    result.unlink()
    record.write_text("{")
    code, said = call(run, "--reuse-other-code")
    assert code == 2
    assert str(record) in said
