"""Sweeps from the command line: which points they have, what they are called, what is refused."""

import pytest

from simvtp.config.schema import override
from simvtp.errors import ConfigError
from sweeps.definition import Sweep
from sweeps.options import parse_vary
from sweeps.plan import make_plan
from tests.small_config import CONFIG

BASE = CONFIG


def points(sweep: Sweep) -> dict[str, dict[str, object]]:
    return {point.label: dict(point.set) for point in sweep.points_around(BASE)}


def test_every_combination_with_the_base_beside_it() -> None:
    _, sweep = parse_vary(["mask.video=0.5,0.9", "pretrain.lr=3e-3,6e-3"])
    assert points(sweep) == {
        "base": {},
        "video 50%, lr 3e-3": {"mask.video": 0.5, "pretrain.lr": 0.003},
        "video 50%, lr 6e-3": {"mask.video": 0.5, "pretrain.lr": 0.006},
        "video 90%, lr 3e-3": {"pretrain.lr": 0.003},  # 0.9 is the base's
        "video 90%, lr 6e-3": {"pretrain.lr": 0.006},
    }
    assert (sweep.title, sweep.axes) == (
        "Video mask ratio by pre-training learning rate",
        ("mask.video", "pretrain.lr"),
    )


def test_zip_takes_first_values_together() -> None:
    _, sweep = parse_vary(["pretrain.lr=6e-3,3e-3", "mask.video=0.5,0.75"], in_pairs=True)
    assert points(sweep) == {
        "base": {},
        "video 50%, lr 6e-3": {"mask.video": 0.5, "pretrain.lr": 0.006},
        "video 75%, lr 3e-3": {"mask.video": 0.75, "pretrain.lr": 0.003},
    }
    assert sweep.title == "Video mask ratio with pre-training learning rate"


def test_two_rates_have_the_names_of_their_stages() -> None:
    _, sweep = parse_vary(["finetune.lr=1e-3", "pretrain.lr=3e-3"])
    assert list(points(sweep)) == ["base", "pretrain lr 3e-3, finetune lr 1e-3"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("mask.kind=random,frame", ["kind frame", "kind random"]),  # in the order of the schema
        ("objective.learn_temperature=true,false", ["learn temperature true"]),  # false is the base's
        ("evaluate.segments=3,2", ["segments 2", "segments 3"]),
        ("pretrain.length=200 steps, 100steps", ["length 200 steps", "length 100 steps"]),
        ("finetune.lr=0.2,1e-2,12e-5", ["lr 1.2e-4", "lr 1e-2", "lr 0.2"]),
        ("mask.text=0.07,0.333333", ["text 7%", "text 33.3333%"]),
        ("mask.text=0.2999999999,0.3", ["text 29.99999999%", "text 30%"]),
        ('tag="a,b",c', ["tag a,b", "tag c"]),
    ],
)
def test_labels_come_from_the_schema(text: str, labels: list[str]) -> None:
    _, sweep = parse_vary([text])
    assert list(points(sweep)) == ["base", *labels]


def test_a_name_hangs_on_fields_and_values_however_they_are_typed() -> None:
    def name(*texts: str, in_pairs: bool = False) -> str:
        return parse_vary(texts, in_pairs=in_pairs)[0]

    usual = name("mask.video=0.5,0.75", "pretrain.lr=3e-3,6e-3")
    assert usual.startswith("video-lr-")
    assert usual == name("pretrain.lr=0.006,.003", "mask.video= 0.75, 5e-1")
    others = [name("mask.video=0.5,0.75"), name("mask.video=0.5,0.75", "pretrain.lr=3e-3"),
              name("mask.video=0.5,0.75", "pretrain.lr=3e-3,6e-3", in_pairs=True)]  # fmt: skip
    assert len({usual, *others}) == 4
    assert parse_vary(["mask.video=0.5"], name="mine")[0] == "mine"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["mask.video"], "--vary 'mask.video': write it as field=value,value"),
        (["mask.vide=0.5"], "did you mean 'mask.video'"),
        (["machine.recompute=true"], "machine.checkpointing"),
        (["mask.video=1.5"], r"--vary mask.video: 1.5 is not possible; it takes a number in [0, 1)"),
        (["mask.video=half"], "'half' is not a number"),
        (["mask.words=kept,droped"], "did you mean 'dropped'"),
        (["mask.video=0.5,0.50"], "--vary mask.video: 50% is there twice"),
        (["mask.video=0.5", "mask.video=0.6"], "--vary mask.video: it is there twice"),
        (["mask.video=[0.5,0.6]"], "without brackets"),
        (['tag="a'], "double quotes"),
        (["pretrain.length=200,steps"], "double quotes"),
        (["mask.video="], "it has no value"),
        (["seed=1,2"], "--seeds"),
        (["machine.threads=1,2"], "it changes no result"),
    ],
)
def test_what_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_vary(texts)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["mask.video=0.5,0.6"], "give a second --vary"),
        (["mask.video=0.5,0.6", "pretrain.lr=1e-3"], "mask.video has 2, pretrain.lr has 1"),
    ],
)
def test_what_zip_refuses(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_vary(texts, in_pairs=True)
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [("mask_ratio", "take another"), ("a/b", "letters, digits")])
def test_names_that_are_taken_or_no_folder(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_vary(["mask.video=0.5"], name=name)


def test_a_combination_that_cannot_be_run_is_named() -> None:
    name, sweep = parse_vary(["model.heads=2,3"])
    with pytest.raises(
        ConfigError, match=r"point 'heads 3': model\.width: 64 is not possible; it takes a multiple of 3"
    ):
        make_plan(name, "tiny", override(CONFIG, {"model.width": 64, "model.heads": 4}), (0,), sweep)
