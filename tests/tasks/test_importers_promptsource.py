"""promptsource templates written here, tried on small tasks of our own."""

import pytest

from formats import FORMATS, matches, oracle
from formats.errors import DataError, TemplateError
from tasks import catalogue
from tasks.importers import (
    Bad,
    Found,
    _ps_original,
    _ps_rows,
    files_of,
    promptsource,
    survey,
    write,
)
from tasks.importers._ps_original import Original, apply, read
from tasks.importers._ps_rows import Columns

PAIRS = """
type: TextClassification
cluster: weather
lineage: [almanac]
source: {path: .}
format: {tsv: {columns: [text, text_b, label]}}
splits: {train: pairs.tsv}
labels: {same: "yes", other: "no"}
"""
CHOICES = """
type: MultipleChoice
cluster: tools
source: {path: .}
format: {tsv: {columns: [question, a, b, answer]}}
splits: {train: choices.tsv}
fields: {options: [a, b]}
answer_as: index
"""
HEAD = "dataset: almanac\nsubset: pairs\ntemplates:\n"


def item(name, jinja, choices="null"):
    return (
        f"  {name}: !Template\n    answer_choices: {choices}\n    id: {name}\n"
        f"    jinja: {jinja!r}\n    metadata: !TemplateMetadata\n      original_task: true\n"
        f"    name: {name}\n    reference: ''\n"
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "pairs.yaml").write_text(PAIRS)
    (own / "pairs.tsv").write_text("rain \twet\tsame\nsun\tdry\tsame\nsnow\twarm\tother\n")
    (own / "choices.yaml").write_text(CHOICES)
    (own / "choices.tsv").write_text("cut with\tsaw\tspoon\t0\nstir with\tfork\tladle\t1\n")
    monkeypatch.setenv("UNIFY_TASKS", str(own))
    monkeypatch.setenv("UNIFY_CACHE", str(tmp_path / "cache"))
    known = {
        "almanac/pairs": {
            "pairs": Columns({"a": "text", "text": "text_b"}, {"label": ["other", "same"]})
        },
        "almanac/tools": {
            "choices": Columns({"q": "question", "c": "{'text': options}"}, {"key": "letter"})
        },
    }
    monkeypatch.setattr(promptsource, "known", lambda: known)

    def put(*items, head=HEAD):
        path = tmp_path / "ps" / "templates.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + "".join(items), encoding="utf-8")
        return path

    return put


def results(path):
    return [r for _, found in survey(files_of(path)) for r in found]


def test_templates_become_variants_by_their_words(place, tmp_path, monkeypatch):
    path = place(
        item("plain", "{{a}} then {{text}}? ||| {{answer_choices[label]}}", "No ||| Yes"),
        item("listed", "{{a}}: {{answer_choices | join(' or ')}}? ||| {{answer_choices[label]}}",
             "No ||| Yes"),
        item("guarded", "{% if label > -1 %} {{text}}! ||| {{['bad', 'good'][label]}}{% endif %}"),
    )  # fmt: skip
    first, second = results(path)
    assert isinstance(first, Found) and isinstance(second, Found)
    assert first.labels == ("Yes", "No") and first.name == "ps_almanac_pairs_yes_no"
    assert second.labels == ("good", "bad") and dict(second.rows) == {"train": 3}
    assert first.notes == ("2 templates of promptsource: plain, listed",)
    for found in (first, second):
        write(found, tmp_path / "out")
    folders = f"{tmp_path / 'own'}:{tmp_path / 'out'}"
    monkeypatch.setenv("UNIFY_TASKS", folders)
    task = catalogue.load(first.name)
    assert (task.cluster, task.lineage) == ("weather", {"almanac"})
    rain, _, snow = task.examples("train")
    format = FORMATS["generate"]()

    def ask(task, example, template):
        (instance,) = format.encode(example, task.prompt, template=template)
        return instance.source, instance.target

    assert task.prompt.count("generate") == 2
    assert ask(task, rain, 0) == ("rain  then wet?", "Yes")
    assert ask(task, snow, 1) == ("snow: No or Yes?", "No")
    other = catalogue.load(second.name)
    assert ask(other, next(other.examples("train")), 0) == ("wet!", "good")
    for name, make in FORMATS.items():
        for template in range(task.prompt.count(name)):
            instances = list(make().encode(snow, task.prompt, template=template))
            answer = make().decode(snow, task.prompt, map(oracle, instances), template=template)
            assert matches(snow, answer)


def test_options_by_text_and_by_letter(place):
    path = place(
        item("text", "{{q}} {{answer_choices | join(', ')}} "
             "||| {{answer_choices[{'A': 0, 'B': 1}[key]]}}", "'{{c.text | join(\"|||\")}}'"),
        item("letter", "{{q}} {% for l, t in zip(['A', 'B'], c.text) %}{{l}} {{t}} {% endfor %}"
             "||| {{key}}"),
        head="dataset: almanac\nsubset: tools\ntemplates:\n",
    )  # fmt: skip
    found, *bad = results(path)
    assert isinstance(found, Found) and not bad, bad
    one, two = found.declaration["prompts"]["generate"]
    assert isinstance(one, str) and two["target"] == "letter"
    assert found.type == "MultipleChoice" and found.labels == ()


@pytest.mark.parametrize(
    ("jinja", "choices", "reason"),
    [
        ("{{year}} {{a}} ||| {{answer_choices[label]}}", "No ||| Yes",
         "reads year, which pairs does not have"),
        ("{{a}} ||| {{text}}", "null", "asks for another thing: 'dry' where we have 'wet'"),
        ("{{label}} ||| {{answer_choices[label]}}", "No ||| Yes", "its input shows the answer"),
        ("{% if label == 1 %}{{a}} ||| x{% endif %}", "null", "says nothing for other"),
        ("{{a}} ||| {{[a, text] | choice}}", "null", "draws by chance"),
        ("{{a}} ||| {{answer_choices[label]}}", "Yes ||| Yes", "two labels share the word 'Yes'"),
        ("{{a}} ||| {{answer_choices[label + 7]}}", "No ||| Yes", "cannot be rendered: Undefined"),
        ("{{a.__class__}} ||| {{label}}", "null", "cannot be rendered: SecurityError"),
        ("{{a", "null", "no text, or none with ||| between input and target"),
        ("{{a ||| x", "null", "cannot be rendered: TemplateSyntaxError"),
    ],
)  # fmt: skip
def test_reasons(place, jinja, choices, reason):
    good = item("good", "{{a}} ||| {{answer_choices[label]}}", "No ||| Yes")
    bad = [r for r in results(place(item("t", jinja, choices), good)) if isinstance(r, Bad)]
    assert [b.part for b in bad] == ["t"] and bad[0].problem.startswith(reason)


def test_a_dataset_without_a_task_counts_its_templates(place):
    (bad,) = results(
        place(item("x", "a ||| b"), item("y", "a ||| b"), head="dataset: nowhere\ntemplates:\n")
    )
    assert bad.count == 2 and bad.problem == "no task here has the rows of nowhere"


def test_python_objects_are_not_made(place):
    path = place("  x: !Template\n    jinja: !!python/object/apply:os.getcwd []\n    name: x\n")
    (bad,) = results(path)
    assert bad.problem.startswith("not promptsource's YAML: could not determine a constructor")
    path.write_text("templates: []  # !Template\n")
    with pytest.raises(DataError, match="no templates"):
        read(path)


def test_originals_are_rendered_as_meant():
    row = {"items": ["b", "a", "b", "c", "c"], "x": "left ", "one": ["k", "k"]}
    assert apply(Original("t", " {{x}}||| {{items | most_frequent | join('+')}} "), row) == (
        "left", "b+c",
    )  # fmt: skip
    assert apply(Original("t", "{{x}} ||| {{one | choice}}"), row) == ("left", "k")
    assert apply(Original("t", "{{x}} ||| {{answer_choices[1]}}", "A ||| {{x}}"), row) == (
        "left", "left",
    )  # fmt: skip
    assert apply(Original("t", "{{x}} ||| "), row) is None
    with pytest.raises(TemplateError, match="chance"):
        apply(Original("t", "{{x}} ||| {{items | choice}}"), row)


def test_choices_that_are_not_read_need_no_columns():
    original = Original("t", "{{x}} ||| {{y}}", "{{z | join('|||')}}")
    assert original.columns() == {"x", "y"}
    assert Original("t", "{{x}} ||| {{answer_choices[0]}}", "{{z}}").columns() == {"x", "z"}


def test_the_table_of_columns_names_tasks_that_exist():
    names = set(catalogue.names())
    table = _ps_rows.known()
    assert len(table) > 30
    assert {task for tasks in table.values() for task in tasks} <= names
    assert set(_ps_rows.NEUTRAL) == set(_ps_rows._GOLD)
    for tasks in table.values():
        for name, columns in tasks.items():
            for how in columns.gold.values():
                if isinstance(how, list):  # class numbers cover the task's labels
                    labels = catalogue.load(name).labels.names
                    assert {n if n in how else n.split(":")[0] for n in labels} <= set(how), name


def test_the_sandbox_is_that_of_the_prompts():
    environment = _ps_original.environment()
    assert "random" not in environment.filters and set(environment.globals) == {"range", "zip"}
