"""Making a language model do what is preferred: reward models, PPO, DPO, choosing, data loops."""

from .policy import Pair, Read, pair, read
from .ppo import PPO, Trained, ppo
from .reward import Ranking, RewardModel, ranks_of, train_discriminator, train_ranking
from .sft import Steps, fine_tune

__all__ = [
    "PPO",
    "Pair",
    "Ranking",
    "Read",
    "RewardModel",
    "Steps",
    "Trained",
    "fine_tune",
    "pair",
    "ppo",
    "ranks_of",
    "read",
    "train_discriminator",
    "train_ranking",
]
