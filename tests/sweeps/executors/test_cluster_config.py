from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from sweeps.executors import cluster_config
from sweeps.executors.cluster_config import Cluster, read


def test_the_example_names_every_key() -> None:
    actual = read("example")
    assert actual.name == "example"
    assert (actual.partition, actual.account, actual.time, actual.gpus, actual.cpus) == ("gpu", "lab", 1440, 1, 8)
    assert actual.setup == ("module load cuda", "export HF_HUB_OFFLINE=1")
    text = (cluster_config.FOLDER / "example.toml").read_text()
    assert all(f"{key} =" in text for key in Cluster.__dataclass_fields__ if key not in ("name", "sbatch"))


@pytest.mark.parametrize(
    ("time", "minutes"), [("90", 90), ('"24:00:00"', 1440), ('"2-12:30:00"', 3630), ('"1:30"', 90)]
)
def test_times(time: str, minutes: int, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"time = {time}\n[sbatch]\nreservation = 'friday'\nexclusive = true\n")
    assert read(str(path)) == Cluster(name="c", time=minutes, sbatch={"reservation": "friday", "exclusive": True})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partitoin = 'x'", "unknown key 'partitoin'; did you mean 'partition'"),
        ("name = 'x'", "unknown key 'name'"),
        ("gpus = '1'", "gpus: '1' is not a whole number"),
        ("gpus = true", "gpus: True is not a whole number"),
        ("partition = 3", "partition: 3 is not text"),
        ("time = '1 day'", "time: '1 day' is not a time"),
        ("nodes = 0", "nodes: 0 is not possible"),
        ("setup = 'module load'", "a list of shell lines"),
        ("pack = 2\ntasks = 2", "ask for one of the two"),
        ("[sbatch]\nx = [1]", "one value each"),
        ("[sbatch]\narray = '1-2'", "'array' is not possible; the sweep sets it itself"),
        ("[sbatch]\noutput = '/x'", "'output' is not possible; the sweep sets it itself"),
        ("[sbatch]\n'a b' = 'c'", "'a b' is not possible; it is no long name"),
        ("[sbatch]\ncomment = 'a\\nb'".replace("'a", '"a').replace("b'", 'b"'), "has a line break in it"),
        ('partition = "a\\nb"', "has a line break in it"),
        ("partition = ", "cannot be read"),
    ],
)
def test_what_a_cluster_may_not_say(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError, match=r"c(\.toml)?\b") as caught:
        read(str(path))
    assert message in str(caught.value)


def test_a_cluster_without_a_file() -> None:
    with pytest.raises(ConfigError, match=r"auto, local, slurm, debug, .*did you mean 'example'"):
        read("exmple")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b.toml", "\0"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(ConfigError, match=r"--cluster .*: its file cannot be read"):
        read(name)
