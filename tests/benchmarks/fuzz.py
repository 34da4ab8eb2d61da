# ruff: noqa: E501
"""Hostile input at every entry point: nothing but our own errors, no hang, no impossible answer.

    python tests/benchmarks/fuzz.py [--cases 100000] [--seed 0] [--only rows,templates]

`rows`: broken and nasty rows of every task type as examples, asked in every format, made features
of with tokenizers of seven shapes, and decoded from arbitrary raw predictions; ids must be no
special ones, and answers must lie in the task's own answer space. `templates`: pieces of Jinja and
escapes from its sandbox. `yaml`: broken task declarations. `big`: texts of a megabyte. `predict`,
`preview`, `check`, `fit`, `import`: the commands' own functions, on tiny models. A case may end
with a result or with a UnifyError, within ten seconds of the processor. Exits with 1 where one ends otherwise.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from formats import FORMATS, KINDS
from formats.errors import TemplateError, UnifyError
from formats.features import Group, featurize
from formats.instances import (
    Entailment,
    ExtractInstance,
    GenerateInstance,
    Raw,
    ScoredSpan,
    Scores,
    Spans,
    Text,
)

LONGEST = 10  # seconds of the processor that a case may take
SPECIAL = ("[SEP]", "[CLS]", "[PAD]", "[MASK]", "[UNK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>",
           "<|end|>", "<|endoftext|>", "<0x0A>")  # fmt: skip
NASTY = (
    "", " ", "\n", "a", "\x00", "\ud800", "a\udfffb", "\u202eabc", "שלום עולם", "مرحبا", "😀", "👩‍🚀🇩🇪",
    "e\u0301" * 3, "\u0301", "\ufeff", "\u200b\u200d", "\x85\u2028", "{{ text }}", "{% for %}",
    "{{ ''.__class__ }}", "; : \\ @2 none", "yes", "A", "1e999", "-0", "nan", "\\none", "]]]",
    "你好", "İſﬁ", "\r\n\r\n", "\t\t", "a " * 200, "x" * 700, *SPECIAL, " ".join(SPECIAL),
)  # fmt: skip
WRONG: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 10**30, 0.5, float("nan"), float("inf"), [], {}, [None], [""],
    ["a", "a"], [["a"]], {"a": 1}, b"\xff", (), [1, 2], "0", "A", {"start": 0, "end": 1},
    [{"start": 0, "end": 1, "type": "x"}], [{"text": "a", "start": -5}], [{"start": 5, "end": 2}],
    [{"start": "0", "end": None, "type": 3}], [{"text": None}], [{"start": 0}], -1e308,
)  # fmt: skip


def words(rng: random.Random) -> str:
    """A text of ordinary and nasty pieces."""
    pieces = [rng.choice(NASTY) if rng.random() < 0.4 else rng.choice(("Ann", "boats", "so", "2"))
              for _ in range(rng.randint(1, 6))]  # fmt: skip
    return rng.choice((" ", "", ", ")).join(pieces)


def good_text(rng: random.Random) -> str:
    """A text that a row may hold."""
    while True:
        text = words(rng)
        if text.strip() and not any("\ud800" <= c <= "\udfff" for c in text):
            return text


def good_row(kind: str, rng: random.Random) -> dict[str, Any]:
    text = good_text(rng)
    visible = [i for i, c in enumerate(text) if c.strip()]
    start = rng.choice(visible)
    span = {"start": start, "end": min(len(text), start + rng.randint(1, 9))}
    row: dict[str, Any] = {
        "classify": lambda: {"text": text, "label": rng.choice(("glad", "sad"))},
        "multilabel": lambda: {"text": text, "labels": ["glad"] if rng.random() < 0.7 else []},
        "choose": lambda: {"question": text, "answer": rng.randrange(2),
                           "options": ["Ann", rng.choice(SPECIAL) + "x"]},
        "answer": lambda: {"question": good_text(rng), "passage": text, "answers": [
            {"text": text[span["start"] : span["end"]], "start": span["start"]}]},
        "tag": lambda: {"text": text, "spans": [{**span, "type": "person"}]},
        "relate": lambda: {"text": text, "head": span, "tail": span,
                           "label": rng.choice(("glad", "sad"))},
        "rate": lambda: {"text": text, "score": rng.choice((0, 5, 2.5))},
        "generate": lambda: {"source": text, "targets": [good_text(rng)]},
    }[kind]()  # fmt: skip
    return row


DECLARED = {
    "classify": {"labels": ["glad", "sad"]}, "multilabel": {"labels": ["glad", "sad", "[SEP]"]},
    "choose": {}, "answer": {"unanswerable": True}, "tag": {"types": ["person", "</s>"]},
    "relate": {"labels": ["glad", "sad"]}, "rate": {"scale": [0, 5, 0.5]}, "generate": {},
}  # fmt: skip


def hostile_row(kind: str, rng: random.Random) -> dict[str, Any]:
    """A good row, of which every other one has some fields broken."""
    row = good_row(kind, rng)
    if rng.random() < 0.5:
        for _ in range(rng.randint(1, 2)):
            key = rng.choice(list(row))
            kind_of = rng.random()
            if kind_of < 0.55:
                row[key] = rng.choice(WRONG)
            elif kind_of < 0.9:
                row[key] = words(rng)
            else:
                del row[key]
                break
    return row


def declared(kind: str, folder: Path) -> Any:
    """A task of type ``kind`` over rows that are handed to it."""
    from tasks import declare

    raw = {"type": KINDS[kind].__name__, "cluster": "own", "source": {"path": str(folder)},
           "format": "jsonl", "splits": {"data": "rows.jsonl"}, **DECLARED[kind]}  # fmt: skip
    return declare.build(kind, raw, folder / "x.yaml")


def number(rng: random.Random) -> float:
    return rng.choice((rng.gauss(0, 5), 0.0, float("nan"), float("inf"), float("-inf"), 1e308))


def any_raw(instance: Any, rng: random.Random) -> Raw:
    """A raw prediction of the shape that a model gives for ``instance``."""
    if isinstance(instance, GenerateInstance):
        if instance.options:
            return Scores(tuple(number(rng) for _ in instance.options))
        return Text(rng.choice((words(rng), instance.target or "", "none", "Ann: person; " * 3)))
    if not isinstance(instance, ExtractInstance):
        return Entailment(number(rng))
    if instance.candidates:
        return Scores(tuple(number(rng) for _ in instance.candidates))
    size = len(instance.passage)
    spans = []
    for _ in range(rng.randint(0, 4)):
        start = rng.randrange(size)
        end = min(size, start + rng.randint(1, 8))
        types = max(1, len(instance.types))
        spans.append(ScoredSpan(start, end, number(rng), rng.randrange(types)))
    return Spans(tuple(spans))


def outside(example: Any, answer: Any, format: str) -> str | None:
    """Why ``answer`` lies outside the example's answer space; None where it does not."""
    kind = example.kind
    if answer is None:
        return None
    if kind in ("classify", "relate"):
        return None if answer in example.labels.names else "no label"
    if kind == "multilabel":
        fits = isinstance(answer, frozenset) and answer <= set(example.labels.names)
        return None if fits else "no set of labels"
    if kind == "choose":
        fits = type(answer) is int and 0 <= answer < len(example.options)
        return None if fits else "no option"
    if kind == "rate":
        fits = isinstance(answer, (int, float)) and example.low <= answer <= example.high
        return None if fits else "off the scale"
    if kind == "generate":
        return None if isinstance(answer, str) else "no text"
    if kind == "tag":
        for span in answer:
            if span.end > len(example.text) or span.type not in example.types.names:
                return "a span outside, or of no type"
        return None
    if not isinstance(answer, frozenset) or not all(isinstance(a, str) for a in answer):
        return "no set of texts"
    if format != "generate" and not all(a in example.passage for a in answer):
        return "a text that is not in the passage"
    return "several answers" if len(answer) > 1 and not example.several else None


class Wrong(Exception):
    """A result that breaks a promise."""


def helper(name: str) -> Any:
    """A module of the tests' folders."""
    files = {"format_tokenizers": "formats/tokenizers_made.py", "unify_helpers": "unify/helpers.py"}
    if name not in sys.modules:
        file = Path(__file__).parents[1] / files[name]
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


Case = Callable[[random.Random], str]  # what the case was; raises where it goes wrong


def rows(folder: Path) -> Case:
    from formats.prompts import default_prompt
    from tasks.fields import getters

    made = helper("format_tokenizers")
    coders = [made.coder(name, window=64) for name in made.MAKERS]
    special = [set(c.tokenizer.all_special_ids) for c in coders]
    formats = [cls() for cls in FORMATS.values()] + [FORMATS["extract"](one_pass=True)]
    declared_tasks = {kind: declared(kind, folder) for kind in KINDS}

    def case(rng: random.Random) -> str:
        kind = rng.choice(list(KINDS))
        task, row = declared_tasks[kind], hostile_row(kind, rng)
        get = getters(kind, task.fields, list(row), labelled=True)
        example = task.example(row, f"{kind}/data/{rng.randrange(99)}", get)
        format = rng.choice([f for f in formats if f.supports(KINDS[kind])])
        language = rng.choice(("en", "en", "zh"))
        prompt = default_prompt(kind, language)
        template = rng.randrange(prompt.count(format.name))
        train = rng.random() < 0.3
        instances = list(format.encode(example, prompt, template=template, sample=train))
        k = rng.randrange(len(coders))
        for row_made in featurize([Group(0, instances)], coders[k], train=train):
            own = [list(v) for v in row_made.variants]
            if format.name == "generate":  # a target ends with the sign that ends it
                own = [v[:-1] if v and v[-1] in special[k] else v for v in own]
            ids = list(row_made.shared) + [i for v in own for i in v]
            unknown = {coders[k].tokenizer.unk_token_id}
            if met := (set(ids) & special[k]) - unknown:
                raise Wrong(f"special tokens {met} of user text, tokenizer {k}, {format.name}")
        if not train:
            format.holds(example, prompt, template=template)
            raws = [any_raw(i, rng) for i in instances]
            answer = format.decode(example, prompt, raws, template=template)
            if why := outside(example, answer, format.name):
                raise Wrong(f"{why}: {answer!r:.80}")
        return f"{kind} {format.name}"

    return case


FRAGMENTS = (
    "{{ ", " }}", "{% ", " %}", "{#", "#}", "text", "options", "options[0]", "options[99]",
    ".__class__", ".__mro__[1]", ".__subclasses__()", "|attr('__class__')", "['__class__']",
    "|map(attribute='__class__')|list", ".__init__.__globals__", "self", "self._TemplateReference__context",
    "cycler", "joiner", "namespace", "lipsum", "range(9**9)", "range(99999999)|list", "'a'*99999999",
    "10**10**10", "'%99999999d'|format(1)", "('x',)*99999999", "for o in options", "endfor", "if text",
    "endif", "set x = ", "include 'x'", "import 'os' as o", "extends 'x'", "macro m()", "endmacro",
    "m()", "call", "block b", "endblock", "loop.index", "|join(', ')", "|upper", "|tojson", "|safe",
    "|xmlattr", "|pprint", "|string|list", "text.format(text)", "'{0.__class__}'.format(text)",
    "text.format_map({})", "text.encode()", "text.translate({})", "text.replace('a', text*9)",
    "true", "none", "1/0", "text[0]", "text[:99]", "~", "-", " ", "\n", "\x00", "\ud800", "😀", "(", ")",
    "[", "]", "'", "is defined", "zip(options, options)", "range(3)", "loop", "x", "not", "in",
)  # fmt: skip


def templates(folder: Path) -> Case:
    from formats.templates import Template, fields_of

    fields = fields_of({"text": "abc", "options": ("x", "[SEP]"), "count": 3, "text_b": None})
    leaks = ("<class", "<built-in", "<function", "<bound method", "__globals__': ", "<module")

    def case(rng: random.Random) -> str:
        inner = " ".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 4)))
        outer = "".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 7)))
        source = rng.choice((f"{{{{ {inner} }}}}", f"{{% {inner} %}}", outer,
                             f"{{% for o in options %}}{inner}{{{{ o }}}}{{% endfor %}}"))
        text = Template(source).text(fields)
        if any(leak in text and leak not in source for leak in leaks):
            raise Wrong(f"reached Python: {source!r} -> {text[:80]!r}")
        if len(text) > 2_000_000:
            raise Wrong(f"{len(text)} characters from {source!r}")
        return "template"

    return case


def yaml_tasks(folder: Path) -> Case:
    import yaml

    from tasks import declare

    values = (*WRONG[:24], *NASTY[:30], "x.jsonl", {"data": "rows.jsonl"}, ["a", "b"], "index",
              {"en": {"generate": ["{{ text }}"]}}, {"instruction": 3}, {"generate": "{{"},
              {"python": "os.system", "args": {"command": "true"}}, "os.system", "builtins.eval",
              {"hub": "a/b"}, {"glad": 1}, [0, 5, 0.5], [5, 0, 1], ["nan", 1, 2])  # fmt: skip
    keys = [k for k in declare.KEYS if k not in ("adapter", "variants_from")]
    files = (b"\xff\xfe", b"a: [", b"&a [*a]", b"!!python/object/apply:os.system ['true']",
             b"- 1", b"{}", b"a: *b", b"? [1]\n: 2", b"\x00", b"base: x.yaml", b"type: 1" * 9)

    def case(rng: random.Random) -> str:
        path = folder / "x.yaml"
        if rng.random() < 0.05:
            path.write_bytes(rng.choice(files))
        else:
            kind = rng.choice(list(KINDS))
            raw = {"type": KINDS[kind].__name__, "cluster": "own", "source": {"path": str(folder)},
                   "format": "jsonl", "splits": {"data": "rows.jsonl"}, **DECLARED[kind]}
            for _ in range(rng.randint(1, 3)):
                raw[rng.choice(keys) if rng.random() < 0.8 else rng.choice(list(raw))] = (
                    rng.choice(values))
            if rng.random() < 0.05:
                raw[words(rng)] = words(rng)
            text = yaml.dump(raw, allow_unicode=True)
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
        for name, found in declare.read(path).items():
            declare.build(name, found, path)
        return "declaration"

    return case


def big(folder: Path) -> Case:
    inner = rows(folder)
    pieces = ("a", "ab ", "😀", "\u202e", "<s>", "你", "\x00", "e\u0301", " \n", "a\u200d")

    def case(rng: random.Random) -> str:
        global NASTY
        kept, piece = NASTY, rng.choice(pieces)
        NASTY = (piece * ((1 << 20) // len(piece)) + "a",)
        try:
            return inner(rng) + " 1 MB"
        finally:
            NASTY = kept

    return case


def _models() -> dict[str, Any]:
    from unify.unified import Unified

    helper("format_tokenizers")
    tiny = helper("unify_helpers").tiny
    return {f: Unified(tiny(a, f), FORMATS[f]()) for f, a in
            (("extract", "bert"), ("entail", "bert"), ("generate", "llama"))}  # fmt: skip


def predict(folder: Path) -> Case:
    models = _models()
    import unify.evaluation  # noqa: F401  (imported late by the first prediction)

    def argument(rng: random.Random) -> Any:
        return rng.choice(WRONG) if rng.random() < 0.15 else words(rng)

    def several(rng: random.Random) -> Any:
        if rng.random() < 0.1:
            return rng.choice(WRONG)
        return [argument(rng) for _ in range(rng.randint(1, 4))]

    calls: dict[str, Callable[[Any, random.Random], Any]] = {
        "classify": lambda m, r: m.classify(argument(r), several(r), several=r.random() < 0.5),
        "choose": lambda m, r: m.choose(argument(r), several(r)),
        "answer": lambda m, r: m.answer(argument(r), argument(r), unanswerable=True),
        "tag": lambda m, r: m.tag(argument(r), several(r)),
        "relate": lambda m, r: m.relate(argument(r), argument(r), argument(r), several(r)),
        "rate": lambda m, r: m.rate(argument(r), r.choice((0, 5, number(r))), number(r)),
        "generate": lambda m, r: m.generate(argument(r)),
    }

    def case(rng: random.Random) -> str:
        format, kind = rng.choice(list(models)), rng.choice(list(calls))
        calls[kind](models[format], rng)
        return f"{kind} {format}"

    return case


def _file_of(folder: Path, kind: str, rng: random.Random) -> Path:
    """A file of hostile rows, now and then cut or of broken bytes."""
    path = folder / rng.choice(("rows.jsonl", "rows.json", "rows.csv"))
    some = [hostile_row(kind, rng) if rng.random() < 0.3 else good_row(kind, rng)
            for _ in range(rng.randint(1, 5))]  # fmt: skip
    lines = [json.dumps(r, default=repr) for r in some]
    text = "\n".join(lines) if path.suffix != ".json" else f"[{','.join(lines)}]"
    data = text.encode("utf-8", "replace")
    if rng.random() < 0.2:
        data = data[: rng.randrange(len(data))] + rng.choice((b"", b"\xff\x00", b'"'))
    path.write_bytes(data)
    return path


def check(folder: Path) -> Case:
    from formats.layout import Coder
    from unify import own
    from unify.preview import preview

    coder: Coder = helper("format_tokenizers").coder("bpe")

    def case(rng: random.Random) -> str:
        from tasks.task import Skipped

        kind = rng.choice(list(KINDS))
        path = _file_of(folder, kind, rng)
        task = own.task_from_file(path, kind, DECLARED[kind], labelled=True)
        format = rng.choice([c() for c in FORMATS.values() if c().supports(KINDS[kind])])
        list(task.examples("data", on_bad_row="skip", skipped=Skipped()))
        list(preview(task, format, coder, split="data"))
        return f"{kind} {format.name}"

    return case


def fit(folder: Path) -> Case:
    models = _models()

    def case(rng: random.Random) -> str:
        format, kind = rng.choice(list(models)), rng.choice(list(KINDS))
        broken = rng.random() < 0.5
        some = [hostile_row(kind, rng) if broken else good_row(kind, rng) for _ in range(4)]
        plain = json.loads(json.dumps(some, default=repr))
        models[format].fit(plain, kind, steps=1, batch_size=2, **DECLARED[kind])
        return f"{kind} {format}"

    return case


def imports(folder: Path) -> Case:
    from unify.commands import import_

    def case(rng: random.Random) -> str:
        import contextlib
        import io

        home = folder / "found"
        home.mkdir(exist_ok=True)
        for old in home.iterdir():
            old.unlink()
        path = _file_of(home, rng.choice(list(KINDS)), rng)
        if rng.random() < 0.5:
            values = (*WRONG, *NASTY)
            found = {rng.choice(("Definition", "Instances", "examples", "task", "input", "x")):
                     rng.choice(values) for _ in range(3)}  # fmt: skip
            path.write_text(json.dumps(found, default=repr), errors="replace")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            import_.run([f"from={home}", f"to={folder / 'made'}"])
        return "import"

    return case


ENTRIES: dict[str, tuple[Callable[[Path], Case], float]] = {  # and their share of the cases
    "rows": (rows, 0.70), "templates": (templates, 0.18), "yaml": (yaml_tasks, 0.1127),
    "big": (big, 0.0003), "predict": (predict, 0.005), "check": (check, 0.0015),
    "fit": (fit, 0.0003), "import": (imports, 0.0002),
}  # fmt: skip


class Hang(BaseException):
    """The case took too long."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    # Seconds of the processor, so that a busy machine makes no hang; and many more of the clock.
    kinds = ((signal.SIGPROF, signal.ITIMER_PROF, 1), (signal.SIGALRM, signal.ITIMER_REAL, 30))
    before = [signal.signal(number, stop) for number, _, _ in kinds]
    for _, timer, times in kinds:
        signal.setitimer(timer, times * seconds)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(kinds, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def place_of(error: BaseException) -> str:
    """The innermost frame of our packages."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if any(p in f.filename for p in ("/formats/", "/tasks/", "/unify/"))]
    own = [f for f in own if "site-packages" not in f.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--cases", type=int, default=100_000)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--only", default="")
    asked = ask.parse_args()
    from unify.quiet import quiet

    quiet()
    chosen = asked.only.split(",") if asked.only else list(ENTRIES)
    whole = sum(ENTRIES[name][1] for name in chosen)
    findings: Counter[str] = Counter()
    first: dict[str, str] = {}
    print(f"{'entry':<10} {'cases':>7} {'answered':>8} {'refused':>8} {'wrong':>6} {'hangs':>5} "
          f"{'slowest':>8} {'seconds':>8}", flush=True)  # fmt: skip
    total = 0
    for name in chosen:
        make, share = ENTRIES[name]
        count = max(1, round(asked.cases * share / whole))
        counts: Counter[str] = Counter()
        begun, slowest = time.monotonic(), 0.0
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "rows.jsonl").write_text("{}\n")
            os.environ.setdefault("UNIFY_CACHE", folder)
            case = make(Path(folder))
            for i in range(count):
                since = time.monotonic()
                try:
                    with limited(LONGEST if name not in ("fit", "big") else 6 * LONGEST):
                        case(random.Random(f"{asked.seed}/{name}/{i}"))
                    counts["answered"] += 1
                except UnifyError as error:
                    counts["refused"] += 1
                    if not isinstance(error, TemplateError) and not error.what:
                        findings[f"{name}: an empty message"] += 1
                except Hang:
                    counts["hangs"] += 1
                    findings[f"{name}: hang"] += 1
                    first.setdefault(f"{name}: hang", f"case {i}")
                except Exception as error:
                    counts["wrong"] += 1
                    key = f"{name}: {type(error).__name__} at {place_of(error)}"
                    findings[key] += 1
                    first.setdefault(key, f"case {i}: {str(error)[:150]}")
                slowest = max(slowest, time.monotonic() - since)
        total += count
        print(f"{name:<10} {count:>7} {counts['answered']:>8} {counts['refused']:>8} "
              f"{counts['wrong']:>6} {counts['hangs']:>5} {slowest:>7.2f}s "
              f"{time.monotonic() - begun:>7.0f}s", flush=True)  # fmt: skip
    print(f"{total} cases, {sum(findings.values())} findings of {len(findings)} kinds")
    for key, times in findings.most_common():
        print(f"  {times} x {key}  ({first.get(key, '')})")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
