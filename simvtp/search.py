"""The best videos of a folder for a text. `python -m simvtp.search "a red star moves left" --videos DIR --model DIR`.

The folder is indexed once per model, in the cache folder; later searches decode only new and changed videos.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from simvtp.cli import Parser, main
from simvtp.data.transforms import views
from simvtp.data.video.sampling import segment_indices
from simvtp.data.video.video import Video
from simvtp.errors import DataError
from simvtp.inference.retriever import SimVTP
from simvtp.inference.video_index import features, index_file
from simvtp.runtime.files import write_bytes
from simvtp.runtime.log import stdout_console

log = logging.getLogger(__name__)

FRAMES, SIDE, LINE, MARGIN = 4, 128, 18, 6  # frames of a match on the sheet; pixels
LONGEST = 512  # words of a text that are looked up

Match = tuple[float, Path]


def search(text: str, videos: Path, model: Path, top: int) -> list[Match]:
    """Cosine and path of the best `top` videos, best first; raises DataError, also where the model knows no word."""
    retriever = SimVTP.from_pretrained(model)
    unknown = retriever.tokenizer.unknown(text)
    if unknown:
        # two marks of begin and end; what is left are the words that tell something
        if len(retriever.tokenizer.encode([text], LONGEST)[0]) - 2 == len(unknown):
            raise DataError(f"text: the model's vocabulary has no word of {text!r}; see {model}/tokenizer.json")
        log.info("not in the model's vocabulary, and so without effect: %s", ", ".join(unknown))
    paths, vectors = features(retriever, videos, index_file(model))
    scores = (vectors @ retriever.encode_text([text])[0]).tolist()
    return sorted(zip(scores, paths, strict=True), key=lambda match: (-match[0], match[1]))[:top]


def contact_sheet(text: str, matches: Sequence[Match], folder: Path) -> Image.Image:
    """One row a match: its rank, cosine and name above a few of its frames."""
    row = SIDE + LINE + MARGIN
    width = FRAMES * SIDE + (FRAMES + 1) * MARGIN
    sheet = Image.new("RGB", (width, LINE + 2 * MARGIN + row * len(matches)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text((MARGIN, MARGIN), text, "black", font)
    for rank, (score, path) in enumerate(matches, start=1):
        top = LINE + 2 * MARGIN + (rank - 1) * row
        draw.text((MARGIN, top), f"{rank}   {score:.3f}   {path.relative_to(folder)}", "dimgray", font)
        video = Video(path)
        frames = video.frames(segment_indices(video.frame_count, FRAMES, 0, 1), SIDE)
        for column, frame in enumerate(views(frames, 1, SIDE)[0]):
            left = MARGIN + column * (SIDE + MARGIN)
            sheet.paste(Image.fromarray(np.ascontiguousarray(frame)), (left, top + LINE))
    return sheet


def _main() -> None:
    parser = Parser(prog="python -m simvtp.search", description=__doc__)
    parser.add_argument("text", help="what to look for")
    parser.add_argument("--videos", type=Path, required=True, metavar="DIR", help="searched with all folders below it")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder (simvtp.publish)")
    parser.add_argument("--top", type=int, default=8, metavar="N", help="how many matches (8)")
    parser.add_argument("--sheet", type=Path, default=Path("matches.png"), metavar="PNG", help="contact sheet to write")
    given = parser.parse_args()
    if given.top < 1 or not given.text.strip() or given.text != given.text.encode(errors="replace").decode():
        raise DataError("--top takes a number from 1, and the text some words in UTF-8")
    if given.sheet.suffix.lower() != ".png":
        raise DataError(f"--sheet: {given.sheet} is not named as a PNG; call it {given.sheet.with_suffix('.png')}")
    matches = search(given.text, given.videos, given.model, given.top)
    table = Table("rank", "cosine", "video", box=None)
    for rank, (score, path) in enumerate(matches, start=1):
        table.add_row(str(rank), f"{score:.3f}", str(path.relative_to(given.videos)))
    stdout_console().print(table)
    picture = io.BytesIO()
    contact_sheet(given.text, matches, given.videos).save(picture, "PNG")
    write_bytes(given.sheet, picture.getvalue())
    log.info("contact sheet: %s", given.sheet)


if __name__ == "__main__":
    main(_main)
