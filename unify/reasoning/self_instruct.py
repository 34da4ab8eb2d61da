"""Self-Instruct (Wang et al. 2023): a model writes tasks in the manner of a few seed tasks; what is
too long, too alike or not askable is filtered out; the rest are written as tasks."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from formats.errors import ConfigError

from ..scoring import Writing
from .lm import LM

# What a model of text cannot see, draw or open.
KEYWORDS = (
    "image", "images", "picture", "pictures", "graph", "graphs", "plot", "file", "files", "map",
    "draw", "video", "audio", "music", "flowchart", "diagram", "link", "website",
)  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """One row of a task; ``input`` may be empty."""

    input: str
    output: str


@dataclass(frozen=True)
class Instructed:
    """A task in the layout that ``unify tasks import`` reads."""

    id: str
    name: str
    instruction: str
    instances: tuple[Instance, ...]
    is_classification: bool = False


@dataclass(frozen=True)
class Filters:
    """``words``: the fewest and most words of an instruction; ``alike``: the highest ROUGE-L F
    that it may have with any other; ``keywords`` that it may not hold."""

    words: tuple[int, int] = (3, 150)
    alike: float = 0.7
    keywords: tuple[str, ...] = KEYWORDS

    def reason(self, instruction: str, others: Sequence[str]) -> str | None:
        """Why ``instruction`` is left out, or None."""
        words = instruction.split()
        if not self.words[0] <= len(words) <= self.words[1]:
            return "length"
        if {w.strip(".,;:!?").casefold() for w in words} & set(self.keywords):
            return "keyword"
        if not instruction[0].isalnum():
            return "beginning"
        return "alike" if most_alike(instruction, others) > self.alike else None


def most_alike(text: str, others: Sequence[str]) -> float:
    """The highest ROUGE-L F of ``text`` with one of ``others``; 0 without any."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    return max((float(scorer.score(o, text)["rougeL"].fmeasure) for o in others), default=0.0)


@dataclass(frozen=True)
class Bootstrap:
    """``rounds`` of ``prompts`` prompts with ``shown`` instructions each, ``own`` of them made
    by the model once there are any; ``instances`` rows are asked for per task."""

    rounds: int = 2
    prompts: int = 4
    shown: int = 8
    own: int = 2
    instances: int = 2
    filters: Filters = field(default_factory=Filters)
    writing: Writing = field(default_factory=lambda: Writing(tokens=96, temperature=0.9))


def tasks_prompt(shown: Sequence[str]) -> str:
    """Asks for more tasks after those ``shown``."""
    listed = "\n".join(f"Task {n}: {i}" for n, i in enumerate(shown, 1))
    return f"A list of different tasks:\n\n{listed}\nTask {len(shown) + 1}:"


def instances_prompt(instruction: str, examples: Sequence[Instructed]) -> str:
    """Asks for rows of a task, after tasks with theirs."""
    told = [
        f"Task: {t.instruction}\n" + "\n".join(f"Input: {i.input}\nOutput: {i.output}"
                                               for i in t.instances[:1])
        for t in examples
    ]  # fmt: skip
    return "\n\n".join([*told, f"Task: {instruction}\nInput:"])


def listed(text: str) -> list[str]:
    """The instructions that a model wrote as ``a\\nTask 10: b``."""
    return [p.strip() for p in re.split(r"\n?Task \d+:", text) if p.strip()]


def rows_of(text: str) -> list[Instance]:
    """The rows that a model wrote as ``input\\nOutput: output\\nInput: ...``; those without an
    output, that repeat their input, or that stand twice are left out."""
    found: dict[str, Instance] = {}
    for part in re.split(r"\nInput:", text):
        given, marked, output = part.partition("\nOutput:")
        given, output = given.strip(), output.strip()
        if marked and output and output != given:
            found.setdefault(given, Instance(given, output))
    return list(found.values())


@dataclass
class Made:
    """The model's tasks, and how many instructions were left out for which reason."""

    tasks: list[Instructed]
    left_out: Counter[str]


def bootstrap(lm: LM, seeds: Sequence[Instructed], how: Bootstrap, seed: int = 0) -> Made:
    """New tasks in the manner of ``seeds``. Raises ConfigError without seeds."""
    if not seeds:
        raise ConfigError("no seed task to begin with", expected="at least one seed task")
    rng, made = random.Random(f"self-instruct {seed}"), Made([], Counter())
    pool = [s.instruction for s in seeds]
    for turn in range(how.rounds):
        mine = [t.instruction for t in made.tasks]
        prompts = []
        for _ in range(how.prompts):
            own = rng.sample(mine, min(how.own, len(mine)))
            given = rng.sample(pool, min(how.shown - len(own), len(pool)))
            shown = [*given, *own]
            rng.shuffle(shown)
            prompts.append(tasks_prompt(shown))
        writing = replace(how.writing, stop=("\n\n",), seed=seed + 1000 * turn)
        written = lm.write(prompts, writing)
        new: list[str] = []
        for text in (w[0].text for w in written):
            for instruction in listed(text):
                why = how.filters.reason(instruction, [*pool, *mine, *new])
                if why is None:
                    new.append(instruction)
                else:
                    made.left_out[why] += 1
        made.tasks += _with_rows(lm, new, seeds, how, rng, len(made.tasks), made.left_out)
    return made


def _with_rows(
    lm: LM,
    instructions: Sequence[str],
    seeds: Sequence[Instructed],
    how: Bootstrap,
    rng: random.Random,
    first: int,
    left_out: Counter[str],
) -> list[Instructed]:
    """The instructions for which the model wrote rows, as tasks."""
    if not instructions:
        return []
    shown = [s for s in seeds if any(i.input for i in s.instances)] or list(seeds)
    prompts = [
        instances_prompt(i, rng.sample(shown, min(2, len(shown)))) for i in instructions
    ]
    written = lm.write(prompts, replace(how.writing, temperature=0.0, stop=("\n\n", "\nTask:")))
    out: list[Instructed] = []
    for instruction, texts in zip(instructions, written, strict=True):
        rows = rows_of(texts[0].text)[: how.instances]
        if not rows:
            left_out["no rows"] += 1
            continue
        name = re.sub(r"\W+", "_", " ".join(instruction.split()[:4])).strip("_").casefold()
        number = first + len(out)
        out.append(Instructed(f"made_{number}", f"{name}_{number}", instruction, tuple(rows)))
    return out


def read_seeds(path: Path) -> list[Instructed]:
    """Seed tasks in Self-Instruct's own layout."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            row = json.loads(line)
            rows = tuple(Instance(i["input"], i["output"]) for i in row["instances"])
            flag = bool(row.get("is_classification", False))
            found.append(Instructed(row["id"], row["name"], row["instruction"], rows, flag))
    return found


def write_tasks(tasks: Iterable[Instructed], path: Path) -> None:
    """Writes tasks in the same layout; ``unify tasks import`` makes them tasks like any other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(t), ensure_ascii=False) for t in tasks]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
