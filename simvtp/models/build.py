"""A new model, and the model that training starts from."""

from __future__ import annotations

from simvtp.config.schema import Config
from simvtp.data.tokenizer import Tokenizer
from simvtp.distributed.process_group import log_lines
from simvtp.errors import ConfigError
from simvtp.models.pretrained_weights import load_pretrained, read_pretrained
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.seeding import seeded


def fresh_model(config: Config, tokenizer: Tokenizer, *, added: bool = True) -> SimVTPModel:
    """A model drawn from the seed. added: as of `SimVTPModel`."""
    # torch's own initialisation, which the model draws anew, must not touch the global state.
    with seeded(config.seed, "construction"):
        return SimVTPModel(config, tokenizer.size, added=added)


def starting_model(config: Config, tokenizer: Tokenizer) -> SimVTPModel:
    """A model as training starts from it: from the weights of model.init, the rest drawn from the seed."""
    model = fresh_model(config, tokenizer)
    if config.model.init:
        given = read_pretrained(config.model.init, config.model)
        if given.dual:
            raise ConfigError(
                f"model.init: {config.model.init} holds two fine-tuned encoders, and pre-training has one; start "
                'fine-tuning from it with pretrain.length="0 steps"'
            )
        log_lines(load_pretrained(given, model, config))
    return model
