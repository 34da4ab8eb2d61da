"""RLPrompt: a prompt written by a small policy, the model frozen (Deng et al. 2022,
arXiv 2205.12548); soft Q-learning with path consistency (Guo et al. 2022, arXiv 2106.07704)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from formats.examples import Example

from .autoprompt import Triggers
from .found_words import allowed
from .shots import Learned, Shots, trainable

Reward = Callable[[Sequence[Sequence[int]]], Tensor]  # prompts -> [prompts], any scoring function

WRONG, RIGHT = 180.0, 200.0


def gap_reward(probabilities: Tensor, gold: Tensor) -> Tensor:
    """Per row: the gap between the gold label's probability and the best other one, times 200
    where it is positive and 180 where not (section 3.2). ``[n, labels], [n] -> [n]``."""
    own = probabilities.gather(1, gold[:, None])[:, 0]
    others = probabilities.scatter(1, gold[:, None], -torch.inf).amax(1)
    gap = own - others
    return torch.where(gap > 0, RIGHT, WRONG) * gap


def standardised(rewards: Tensor) -> Tensor:
    """z-scores over the prompts of a step, for each input: ``[prompts, inputs]`` (section 3.3)."""
    spread = rewards.std(0, keepdim=True, unbiased=False).clamp(min=1e-6)
    return (rewards - rewards.mean(0, keepdim=True)) / spread


def path_loss(q: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
    """Multi-step path consistency: for each step t, V(s_t) plus the advantages from t on should be
    the reward. ``q [n, steps, words]``, ``actions [n, steps]``, ``rewards [n]``."""
    value = q.logsumexp(-1)
    advantage = q.gather(-1, actions[..., None])[..., 0] - value
    ahead = advantage.flip(1).cumsum(1).flip(1)
    return (value + ahead - rewards[:, None]).square().mean()


class Policy(nn.Module):
    """An MLP over frozen word embeddings: the mean of the prompt so far (and of the input, where it
    ``reads`` it) and the step give Q of every word it may choose."""

    def __init__(self, embeddings: Tensor, words: Sequence[int], steps: int, hidden: int = 128,
                 reads: bool = False) -> None:  # fmt: skip
        super().__init__()
        width = embeddings.shape[1]
        self.register_buffer("table", embeddings.detach().clone())
        self.words, self.steps, self.reads = list(words), steps, reads
        self.head = nn.Sequential(
            nn.Linear(width * (2 if reads else 1) + steps, hidden), nn.ReLU(),
            nn.Linear(hidden, len(words)),
        )  # fmt: skip

    def state(self, prompts: Tensor, step: int, inputs: Tensor | None) -> Tensor:
        """``prompts [n, step]`` are numbers of words."""
        table = self.get_buffer("table")
        own = table[torch.tensor(self.words)[prompts]].mean(1) if step else table.new_zeros(
            len(prompts), table.shape[1]
        )  # fmt: skip
        place = torch.zeros(len(prompts), self.steps)
        place[:, step] = 1.0
        parts = [own, place]
        if self.reads:
            assert inputs is not None
            parts.append(inputs)
        return torch.cat(parts, 1)

    def write(self, count: int, inputs: Tensor | None = None, greedy: bool = False,
              draw: torch.Generator | None = None) -> tuple[Tensor, Tensor]:  # fmt: skip
        """``count`` prompts: their actions ``[n, steps]``, and the Q that chose them."""
        actions = torch.zeros(count, 0, dtype=torch.long)
        table = []
        for step in range(self.steps):
            q = self.head(self.state(actions, step, inputs))
            table.append(q)
            with torch.no_grad():
                chosen = (q.argmax(-1) if greedy else
                          torch.multinomial(q.softmax(-1), 1, generator=draw)[:, 0])  # fmt: skip
            actions = torch.cat([actions, chosen[:, None]], 1)
        return actions, torch.stack(table, 1)

    def tokens(self, actions: Tensor) -> list[list[int]]:
        return [[self.words[k] for k in row] for row in actions.tolist()]


def train_policy(
    policy: Policy, reward: Callable[[Sequence[Sequence[int]], int], Tensor], steps: int,
    prompts: int, lr: float, seed: int, inputs: Callable[[int], Tensor | None] = lambda k: None,
) -> list[float]:  # fmt: skip
    """``reward(prompts, step)`` gives ``[prompts, inputs]``; it is standardised per step. Returns
    the mean rewards before that."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr=lr)
    found = []
    for step in range(steps):
        actions, q = policy.write(prompts, inputs(step), draw=draw)
        raw = reward(policy.tokens(actions), step)
        found.append(float(raw.mean()))
        loss = path_loss(q, actions, standardised(raw).mean(1))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return found


def rlprompt(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``length`` tokens of the ``vocabulary`` most usual words; ``prompts`` are drawn per step."""
    length = int(settings.get("length", 3))
    triggers = Triggers(shots, length, "log_prob")
    for parameter in triggers.cloze.model.parameters():
        parameter.requires_grad_(False)
    embeddings = triggers.cloze.model.get_input_embeddings().weight
    usable = (allowed(shots.start.coder.tokenizer, len(embeddings)) == 0).nonzero()[:, 0].tolist()
    words = usable[: int(settings.get("vocabulary", 2000))]
    torch.manual_seed(shots.budget.seed)
    policy = Policy(embeddings, words, length, int(settings.get("hidden", 128)))
    gold = shots.gold(shots.train)
    draw = torch.Generator().manual_seed(shots.budget.seed)

    def reward(prompts: Sequence[Sequence[int]], step: int) -> Tensor:
        rows = torch.randperm(len(shots.train), generator=draw)[: shots.budget.batch_size].tolist()
        with torch.no_grad():
            return torch.stack([
                gap_reward(
                    triggers.scores([shots.train[k] for k in rows], p).softmax(1), gold[rows]
                ) for p in prompts
            ])  # fmt: skip

    history = train_policy(
        policy, reward, shots.budget.steps, int(settings.get("prompts", 4)),
        float(settings.get("policy_lr", 1e-3)), shots.budget.seed,
    )  # fmt: skip
    # The prompt that is best on dev of the greedy one and a few draws.
    with torch.no_grad():
        found = policy.tokens(policy.write(1, greedy=True)[0])
        found += policy.tokens(policy.write(3, draw=draw)[0])
        dev_gold = shots.gold(shots.dev)
        dev = [float((triggers.scores(shots.dev, p).argmax(1) == dev_gold).float().mean())
               for p in found]  # fmt: skip
    triggers.tokens = found[max(range(len(dev)), key=lambda k: dev[k])]

    def scores(examples: Sequence[Example]) -> Tensor:
        with torch.inference_mode():
            parts = [triggers.scores(examples[k : k + 64]) for k in range(0, len(examples), 64)]
        return torch.cat(parts).clone()

    text = shots.start.coder.tokenizer.decode(triggers.tokens)
    notes = [f"prompt: {text}", f"reward {history[0]:.1f} -> {history[-1]:.1f}"]
    return Learned(scores, shots.start, trainable(policy), notes, triggers.kept())
