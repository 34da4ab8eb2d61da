"""RLPrompt: a prompt written by a small policy, the model frozen (Deng et al. 2022,
arXiv 2205.12548); soft Q-learning with path consistency (Guo et al. 2022, arXiv 2106.07704)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from formats.errors import ConfigError
from formats.examples import Example, LabelSpace
from tasks.dotted import resolve

from .autoprompt import Triggers
from .found_words import allowed
from .patterns import shown_of
from .pet import ROWS
from .saved import Kept
from .shots import Learned, Shots, gold_of, trainable

# Prompts, and the row that each is asked of -> [prompts]: any scoring function, of tokens or texts.
Reward = Callable[[Sequence[Sequence[int]], Sequence[Example]], Tensor]
Rated = Callable[[Sequence[str], Sequence[Example]], Any]

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
    policy: Policy, reward: Reward, rows: Callable[[], Sequence[Example]], steps: int,
    prompts: int, lr: float, seed: int,
    inputs: Callable[[Sequence[Example]], Tensor] | None = None,
) -> list[float]:  # fmt: skip
    """Each step draws ``prompts`` for all of ``rows()`` together, or for each of them where
    ``inputs(rows)`` are read; what they earn is standardised over the prompts of each row. Returns
    the mean rewards before that."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr=lr)
    found = []
    for _ in range(steps):
        batch = rows()
        read = None if inputs is None else inputs(batch).repeat(prompts, 1)
        actions, q = policy.write(prompts if read is None else len(read), read, draw=draw)
        written = policy.tokens(actions)
        asked = written if read is not None else [p for p in written for _ in batch]
        raw = reward(asked, [*batch] * prompts).reshape(prompts, len(batch))
        found.append(float(raw.mean()))
        earned = standardised(raw)
        loss = path_loss(q, actions, earned.mean(1) if read is None else earned.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return found


def gap_of(triggers: Triggers, labels: LabelSpace) -> Reward:
    """The paper's reward: :func:`gap_reward` of what the frozen model says."""

    def reward(prompts: Sequence[Sequence[int]], rows: Sequence[Example]) -> Tensor:
        with torch.no_grad():
            found = triggers.scores_each(rows, prompts).softmax(1)
        return gap_reward(found, gold_of(rows, labels))

    return reward


def rated_by(given: str | Rated, tokenizer: Any) -> Reward:
    """The reward of a function, or of one at a dotted path: it gets the prompts as texts and the
    row that each is asked of, and returns as many numbers. Raises UnifyError."""
    function: Rated = resolve(given) if isinstance(given, str) else given

    def reward(prompts: Sequence[Sequence[int]], rows: Sequence[Example]) -> Tensor:
        texts = [tokenizer.decode(list(p)).strip() for p in prompts]
        found = torch.as_tensor(function(texts, rows), dtype=torch.float32)
        if found.shape != (len(rows),):
            raise ConfigError(
                "a reward that is not one number per prompt", got=list(found.shape),
                expected=f"[{len(rows)}]", field="learner.reward",
            )  # fmt: skip
        return found

    return reward


def rlprompt(shots: Shots, settings: Mapping[str, Any]) -> Learned:
    """``length`` tokens of the ``vocabulary`` most usual words; ``prompts`` are drawn per step.
    Where the policy ``reads``, each row has a prompt of its own. ``reward`` is that of
    :func:`rated_by`, the paper's without it."""
    length, prompts = int(settings.get("length", 3)), int(settings.get("prompts", 4))
    if prompts < 2:
        raise ConfigError("a prompt that is compared with no other", got=prompts, expected=">= 2",
                          field="learner.prompts")  # fmt: skip
    triggers = Triggers(shots, length, "log_prob")
    for parameter in triggers.cloze.model.parameters():
        parameter.requires_grad_(False)
    coder = shots.start.coder
    embeddings = triggers.cloze.model.get_input_embeddings().weight.detach().cpu()
    usable = (allowed(coder.tokenizer, len(embeddings)) == 0).nonzero()[:, 0].tolist()
    words = usable[: int(settings.get("vocabulary", 2000))]
    torch.manual_seed(shots.budget.seed)
    reads = bool(settings.get("reads", False))
    policy = Policy(embeddings, words, length, int(settings.get("hidden", 128)), reads)
    given = settings.get("reward")
    reward = rated_by(given, coder.tokenizer) if given else gap_of(triggers, shots.labels)
    draw = torch.Generator().manual_seed(shots.budget.seed)

    def rows() -> list[Example]:
        order = torch.randperm(len(shots.train), generator=draw)
        return [shots.train[k] for k in order[: shots.budget.batch_size].tolist()]

    def inputs(examples: Sequence[Example]) -> Tensor:
        """The mean word embedding of each row."""
        ids = coder.ids(["".join(shown_of(e)) for e in examples])
        return torch.stack([embeddings[list(i)].mean(0) for i in ids])

    history = train_policy(
        policy, reward, rows, shots.budget.steps, prompts,
        float(settings.get("policy_lr", 1e-3)), shots.budget.seed, inputs if reads else None,
    )  # fmt: skip

    def written(examples: Sequence[Example]) -> list[list[int]]:
        """The policy's prompt for each row."""
        return policy.tokens(policy.write(len(examples), inputs(examples), greedy=True)[0])

    if not reads:  # what earns most on dev: the likeliest prompt, or one of a few draws
        with torch.no_grad():
            found = policy.tokens(policy.write(1, greedy=True)[0])
            found += policy.tokens(policy.write(3, draw=draw)[0])
        dev = [float(reward([p] * len(shots.dev), shots.dev).mean()) for p in found]
        triggers.tokens = found[max(range(len(dev)), key=lambda k: dev[k])]

    def scores(examples: Sequence[Example]) -> Tensor:
        with torch.inference_mode():
            chunks = [examples[k : k + ROWS] for k in range(0, len(examples), ROWS)]
            parts = [triggers.scores_each(c, written(c)) if reads else triggers.scores(c)
                     for c in chunks]  # fmt: skip
        return torch.cat(parts).clone()

    shown = written(shots.train[:3]) if reads else [triggers.tokens]
    notes = [f"prompt: {'; '.join(coder.tokenizer.decode(p) for p in shown)}",
             f"reward {history[0]:.1f} -> {history[-1]:.1f}"]  # fmt: skip
    again: Kept | str = "a policy writes a prompt for each row" if reads else triggers.kept()
    return Learned(scores, shots.start, trainable(policy), notes, again)
