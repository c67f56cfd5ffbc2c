"""Trained weights -> model."""

from __future__ import annotations

from simvtp.config.experiment import Experiment
from simvtp.data.tokenizer import Tokenizer
from simvtp.distributed.process_group import decide, log_lines
from simvtp.errors import ConfigError
from simvtp.models.build import fresh_model, starting_model
from simvtp.models.dual_encoder import DualEncoder, make_dual_encoder
from simvtp.models.pretrained_weights import load_pretrained, read_pretrained
from simvtp.models.simvtp import SimVTPModel
from simvtp.training.checkpoint import load_weights


def dual_encoder(experiment: Experiment, tokenizer: Tokenizer) -> DualEncoder:
    """Two encoders from the pre-trained one; without pre-training from model.init, which may hold two, or random ones.

    Two that model.init holds are used as they were fine-tuned, also where this config fine-tunes no more.
    """
    config = experiment.config
    if config.is_pretrained or not config.model.init:
        return make_dual_encoder(pretrained_model(experiment, tokenizer), config)
    model, given = fresh_model(config, tokenizer), read_pretrained(config.model.init, config.model)
    if config.evaluate.rerank and "matching_head.weight" not in given.tensors:
        raise ConfigError(
            f"evaluate.rerank: {config.model.init} holds no matching head to judge candidates by, and this config "
            "pre-trains none; set evaluate.rerank=0"
        )
    if given.dual:
        if config.model.towers != "separate":
            raise ConfigError(f"model.towers: {config.model.init} holds two encoders; it takes separate")
        pair = DualEncoder(model, config)
        log_lines(load_pretrained(given, pair, config))
        return pair
    log_lines(load_pretrained(given, model, config))
    return make_dual_encoder(model, config)


def pretrained_model(experiment: Experiment, tokenizer: Tokenizer) -> SimVTPModel:
    """The config's pre-trained model; where it has no pre-training, what pre-training would start from.

    Raises ConfigError if pre-training is not done.
    """
    stage = experiment.pretrain_dir
    if stage is None:
        return starting_model(experiment.config, tokenizer)
    model = fresh_model(experiment.config, tokenizer)
    if not decide((stage / "weights.safetensors").exists):
        raise ConfigError(f"{stage}/weights.safetensors is not there: run `python -m simvtp.pretrain` first")
    load_weights(model, stage / "weights.safetensors")
    return model
