"""Plugin modules as users write them, as text."""

OBJECTIVE = '''
from dataclasses import dataclass
from simvtp.config.fields import setting
from simvtp.config.plugins import PretrainObjective, register_objective

@register_objective("extra")
@dataclass(frozen=True)
class Extra(PretrainObjective):
    """weight of an objective of a test"""
    power: int = setting("its power", 2, within="[1, 9]")
    passes = ("video",)

    def loss(self, head, step):
        return step.passes["video"].mean().float().abs().pow(self.power).mean()

    def flop(self, config):
        return 1e9 * self.power
'''

EVALUATOR = '''
from simvtp.config.plugins import register_evaluator

@register_evaluator("norm")
def norm(gallery):
    """also measure a norm"""
    return {"mean": float((gallery.videos ** 2).sum(axis=1).mean())}
'''
