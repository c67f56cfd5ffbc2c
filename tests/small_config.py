"""One small config and corpus for all tests that train or name a literal value, whatever the presets say today."""

from simvtp.config.presets import preset
from simvtp.config.schema import override

# Every setting of preset tiny that changes what a model is or how long it trains.
SETTINGS = {
    "model.frames": "8",
    "model.size": "48",
    "model.tube_frames": "2",
    "model.patch": "8",
    "model.width": "64",
    "model.depth": "2",
    "model.heads": "2",
    "model.decoder_width": "32",
    "model.decoder_depth": "1",
    "model.decoder_heads": "2",
    "model.words": "24",
    "model.dropout": "0",
    "model.position_encoding": "sine",
    "mask.video": "0.9",
    "mask.text": "0.75",
    "mask.kind": "tube",
    "mask.words": "kept",
    "mask.decoded": "1",
    "objective.temperature": "0.05",
    "objective.contrast": "masked",
    "objective.negatives": "random",
    "pretrain.length": "400 steps",
    "pretrain.warmup": "40 steps",
    "pretrain.batch": "64",
    "pretrain.lr": "0.012",
    "finetune.length": "12 epochs",
    "finetune.warmup": "1 epochs",
    "finetune.batch": "64",
    "finetune.lr": "0.004",
    "evaluate.segments": "1",
    "evaluate.crops": "1",
    "evaluate.every": "2",
}
CONFIG = override(preset("tiny"), SETTINGS)
# Captions that fit into model.words.
WORDING = "captions=5&synonyms=2&templates=2&mentions=1&fillers=0"
CORPUS = f"sprites:tiny?clips=96&finetune=48&validation=12&test=16&test_seen=8&pretrain_validation=4&{WORDING}"
QUICK = SETTINGS | {
    "data.pretrain": CORPUS,
    "data.finetune": CORPUS,
    "pretrain.length": "8 steps",
    "pretrain.warmup": "2 steps",
    "pretrain.batch": "16",
    "finetune.length": "4 epochs",
    "finetune.warmup": "1 epochs",
    "finetune.batch": "16",
}
