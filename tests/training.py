"""Small real trainings, as ns-train does them."""

import torch

from nerf_plugins.engine.trainer import NerfTrainer, PluginTrainerConfig


def set_up(config: PluginTrainerConfig) -> NerfTrainer:
    """The trainer, and a config.yml that others can load."""
    torch.manual_seed(0)
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    return trainer


def train(config: PluginTrainerConfig) -> NerfTrainer:
    """The trainer after all its steps."""
    trainer = set_up(config)
    trainer.train()
    return trainer
