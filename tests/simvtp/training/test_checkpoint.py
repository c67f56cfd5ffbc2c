from pathlib import Path

import pytest
import torch
from torch import nn

from simvtp.errors import DataError
from simvtp.runtime.files import write_bytes, write_json
from simvtp.training.checkpoint import clear_halves, load_state, load_weights, save_state, save_weights, states
from tests.fuzz import checkpoints


def test_the_newest_two_states_stay_and_the_newest_is_read(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save_state(tmp_path, step, {"step": step})
    assert [path.name for path in states(tmp_path)] == ["step-000000002.pt", "step-000000010.pt"]
    assert load_state(tmp_path) == {"step": 10}


def test_a_damaged_state_is_named_and_the_one_before_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_state(tmp_path, 1, {"step": 1})
    save_state(tmp_path, 2, {"step": 2})
    path = tmp_path / "step-000000002.pt"
    path.write_bytes(path.read_bytes()[:-100])
    assert load_state(tmp_path) == {"step": 1}
    assert "step-000000002.pt cannot be read" in caplog.text
    assert load_state(tmp_path / "nowhere") is None


def test_any_damaged_byte_is_noticed(tmp_path: Path) -> None:
    state = {"step": 2, "model": {"weight": torch.arange(300.0)}, "memory": {"epoch": 1.5}}
    save_state(tmp_path, 2, state)
    path = tmp_path / "step-000000002.pt"
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        save_state(tmp_path, 1, {"step": 1})
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        actual = load_state(tmp_path)
        assert actual is not None
        if actual["step"] == 2:  # padding of the archive: nothing that is read
            assert actual.keys() == state.keys(), place
            assert torch.equal(actual["model"]["weight"], torch.arange(300.0)), place
            assert actual["memory"] == {"epoch": 1.5}, place


def test_weights_round_trip_and_misfits_are_named(tmp_path: Path) -> None:
    save_weights(nn.Linear(3, 2), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"w.safetensors does not fit the config: weight \(1 tensors in all\)"):
        load_weights(nn.Linear(4, 2), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"w.safetensors is damaged"):
        load_weights(nn.Linear(3, 2), tmp_path / "w.safetensors")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "f", b"old")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "r.json", {"R@1": float("nan")})


def test_a_state_with_code_in_it_is_refused(tmp_path: Path) -> None:
    torch.save({"stage": Path("x")}, tmp_path / "step-000000001.pt")
    assert load_state(tmp_path) is None


def test_what_a_kill_left_half_written_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    save_state(tmp_path / "checkpoints", 3, {"step": 3})
    kept = {*tmp_path.rglob("*.pt"), *(tmp_path / name for name in ("job.json", ".job.json.x", "last.safetensors"))}
    for path in kept - set(tmp_path.rglob("*.pt")):
        path.touch()
    for name in ("checkpoints/.step-000000004.pt.ab12", ".weights.safetensors.x_y"):
        (tmp_path / name).write_bytes(b"half")
    clear_halves(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize("stage", ["finetune", None])
def test_a_checkpoint_of_another_stage_is_refused(tmp_path: Path, stage: str | None) -> None:
    """And not passed over in silence, which would begin the stage anew."""
    checkpoints.prepare(tmp_path)
    path = tmp_path / "resume" / "checkpoints" / "step-000000002.pt"
    state = torch.load(path, weights_only=True)
    del state["stage"]
    torch.save(state if stage is None else {**state, "stage": stage}, path)
    with pytest.raises(DataError, match=rf"step-000000002\.pt does not fit this stage .it is of stage {stage!r}"):
        checkpoints.trainer(tmp_path / "resume")
