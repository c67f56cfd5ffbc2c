"""Small corpora on the disk, and what is read of them."""

from __future__ import annotations

from pathlib import Path

from simvtp.data.corpora.registry import load


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def shown(spec: str, split: str) -> dict[str, tuple[str, ...]]:
    return {sample.video_id: sample.captions for sample in load(spec, split).samples}


def ids(spec: str, split: str) -> list[str]:
    return [sample.video_id for sample in load(spec, split).samples]


def webvid(root: Path, rows: list[tuple[str, str, str]], header: str = "videoid,page_dir,name") -> str:
    root.mkdir(parents=True, exist_ok=True)
    lines = [header, *(",".join(row) for row in rows)]
    (root / "results_2M_train.csv").write_text("\n".join(lines) + "\n")
    (root / "results_2M_val.csv").write_text("\n".join(lines) + "\n")
    for video, page, _ in rows:
        if ".." not in page:
            (root / "videos" / page).mkdir(parents=True, exist_ok=True)
            (root / "videos" / page / f"{video}.mp4").touch()
    return f"webvid:{root}"
