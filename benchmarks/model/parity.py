"""How exactly the video path is VideoMAE's, at the size of a preset: `python benchmarks/model/parity.py --preset base`.

One set of random weights in our model and in transformers' VideoMAEForPreTraining; the same clips and masks. Prints the
largest difference of encoder tokens, predicted pixels, loss and gradients, absolute and relative to the largest value.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.models.embeddings import cut_tubes, gather_rows
from simvtp.models.masking import draw_video_mask
from simvtp.models.objectives import masked_video_loss, pixel_targets
from simvtp.models.transformer import Group
from simvtp.runtime.constants import IMAGENET_MEAN, IMAGENET_STD
from simvtp.runtime.seeding import generator
from tests.simvtp.models.exactness.videomae_twins import head_rows, pairs, twins


def row(name: str, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> str:
    apart = max(float((ours - theirs).detach().abs().max()) for ours, theirs in pairs)
    largest = max(float(theirs.detach().abs().max()) for _, theirs in pairs)
    return f"| {name} | {apart:.1e} | {largest:.1e} | {apart / largest:.1e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="base")
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--ratio", type=float, default=0.9)
    given = parser.parse_args()
    made = override(preset(given.preset), {"mask.video": given.ratio})
    ours, theirs = twins(made, scale=0.02)
    shape = (given.clips, made.model.frames, made.model.size, made.model.size, 3)
    video = torch.randint(0, 256, shape, generator=generator("clips"), dtype=torch.uint8)
    pixels = (video.double() / 255 - torch.tensor(IMAGENET_MEAN).double()) / torch.tensor(IMAGENET_STD).double()
    pixels = pixels.permute(0, 1, 4, 2, 3).float()
    mask = draw_video_mask(len(video), made.model, made.mask, generator("mask"))
    hidden = torch.zeros(len(video), made.model.tubes, dtype=torch.bool).scatter(1, mask.masked, True)

    tubes = cut_tubes(video, made.model)
    (encoded,) = ours.encode([Group(ours.tubes(tubes, mask.visible))])
    assert ours.pixel_decoder is not None
    predicted = ours.pixel_decoder(encoded.tokens, mask.visible, mask.masked)
    loss = masked_video_loss(predicted, pixel_targets(gather_rows(tubes, mask.masked)))
    loss.backward()  # type: ignore[no-untyped-call]
    wanted = theirs(pixels, bool_masked_pos=hidden)
    wanted.loss.backward()
    with torch.no_grad():
        tokens = theirs.get_submodule("videomae")(pixels, bool_masked_pos=hidden).last_hidden_state
    print("| float32 | largest difference | largest value | relative |\n|---|---|---|---|")
    print(row("encoder tokens", [(encoded.tokens, tokens)]))
    print(row("predicted pixels", [(predicted, wanted.logits[..., head_rows(made)])]))
    print(row(f"loss ({float(loss):.4f})", [(loss, wanted.loss)]))
    both = pairs(ours, theirs, made, gradient=True)
    print(row(f"gradients of {len(both)} tensors", both))
    print(f"\npreset {given.preset}, {given.clips} clip, video {given.ratio:.0%} masked, torch {torch.__version__}")


if __name__ == "__main__":
    main()
