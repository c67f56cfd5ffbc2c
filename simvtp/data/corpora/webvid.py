"""WebVid: results_2M_{train,val}.csv, one caption a video, videos/{page_dir}/{videoid}.mp4."""

from __future__ import annotations

from pathlib import Path

from simvtp.data.corpora.annotations import Record, clean, read_rows, unique_ids
from simvtp.errors import DataError


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train" or "val", and the folder that their files count from."""
    if split not in ("train", "val"):
        raise DataError(f"webvid:{root} has the splits train and val, not {split!r}; for retrieval use msrvtt:ROOT")
    path = root / f"results_2M_{split}.csv"
    rows = read_rows(path, ("videoid", "page_dir", "name"))
    records = (Record(row["videoid"], f"{row['page_dir']}/{row['videoid']}.mp4", (clean(row["name"]),)) for row in rows)
    return unique_ids(records, path), root / "videos"
