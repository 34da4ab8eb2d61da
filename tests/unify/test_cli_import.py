"""`unify tasks import`: shows first, writes on demand."""

import json

from unify.cli import main


def test_the_command_shows_first_and_writes_on_demand(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("UNIFY_TASKS", raising=False)
    monkeypatch.delenv("UNIFY_DATA", raising=False)
    place = tmp_path / "in"
    place.mkdir()
    (place / "cut.json").write_text('{"Definition": "x", "Instances": [')
    fish = [{"input": f"fish {i}", "output": [("eel", "cod")[i % 2]]} for i in range(20)]
    (place / "t.json").write_text(json.dumps({"Definition": "Name it.", "Instances": fish}))
    to = tmp_path / "yaml"
    assert main(["tasks", "import", str(place)]) == 0
    shown = capsys.readouterr().out
    assert "ni_t" in shown and "2: cod, eel" in shown and "Nothing was written" in shown
    assert "cut.json: not JSON" in shown
    assert "1 tasks, 20 rows, 0 of them left out; 1 cannot be used" in shown and not to.exists()
    assert main(["tasks", "import", str(place), f"to={to}"]) == 0
    assert f"export UNIFY_TASKS={to}" in capsys.readouterr().out
    assert [p.name for p in to.iterdir()] == ["ni_t.yaml"]
    assert main(["tasks", "import", str(place / "cut.json")]) == 1
    assert main(["tasks", "import"]) == 1
    assert "import needs one place" in capsys.readouterr().err
