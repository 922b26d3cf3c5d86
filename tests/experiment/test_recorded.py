"""The shipped experiment: was it predicted first, is it emulated throughout, does everybody tell it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from perfmodel.cli import main
from perfmodel.errors import InputError
from perfmodel.experiment import CUTS, QUANTITIES, Recorded, score
from perfmodel.experiment.profiles import stock_table
from perfmodel.experiment.recorded import load_experiment, race_counts
from perfmodel.figures import kernel_experiment
from perfmodel.machine import Machine
from perfmodel.report.experiment import experiment_blocks, experiment_json
from perfmodel.report.markdown import to_markdown

# One worker reads the two dozen documents for all.
pytestmark = pytest.mark.xdist_group("recorded")


def test_the_prediction_was_written_before_any_cut_ran(experiment: Recorded) -> None:
    written = dt.datetime.fromisoformat(experiment.prediction.written)
    began = {dt.datetime.fromisoformat(s.boot.split(" boot ")[0]) for s in experiment.slices}
    assert began
    assert written < min(began)


def test_its_profiles_are_emulated_and_have_seen_no_cut(experiment: Recorded) -> None:
    for profile in experiment.prediction.profiles:
        machine = Machine.load(experiment.folder / f"profile-{profile.vcpus}cpu.json")
        assert machine.evidence == "emulated"
        assert machine.sha256 == profile.sha256
        # What it was fitted to lies beside it, unchanged, and holds no cut.
        stock = stock_table(sorted(experiment.folder.glob("stock-*")))
        assert {i.sha256 for i in machine.inputs} <= {g.source.sha256 for g in stock.groups}
        assert set(profile.fitted_to.values()) <= {i.sha256 for i in machine.inputs}


def test_fitting_to_a_run_with_cuts_is_refused(experiment: Recorded) -> None:
    with pytest.raises(InputError, match="must not have been seen"):
        stock_table([experiment.folder / "run-1"])
    with pytest.raises(InputError, match="no document of a guest"):
        stock_table([experiment.folder])


def test_everything_that_was_predicted_was_measured(experiment: Recorded) -> None:
    points = {r.configuration for r in experiment.prediction.rows}
    assert {(r.configuration, r.cut, r.predicted.quantity) for r in experiment.rows} == {
        (p, c, q) for p in points for c in CUTS for q in QUANTITIES
    }
    assert {p.vcpus for p in points} == {2, 4}
    assert {p.faulters for p in points} == {1, 3}


def test_the_models_beat_a_coin_by_far_where_each_thread_has_a_cpu(experiment: Recorded) -> None:
    cpus = experiment.laboratory["host"]["cpus"]
    some = [
        r for r in experiment.rows if r.cut != "none" and r.configuration.faulters + 1 <= cpus
    ]  # fmt: skip
    found = score(some)
    assert found.significant > 100
    assert found.right > 0.85 * found.significant


def test_report_and_figure_say_that_it_is_emulated(experiment: Recorded) -> None:
    text = to_markdown(experiment_blocks(experiment))
    assert text.startswith("Emulated:")
    for cut in CUTS:
        assert cut in text
    document = experiment_json(experiment)
    json.dumps(document, allow_nan=False)
    assert document["evidence"].startswith("emulated")
    spec = kernel_experiment.data_for(experiment)
    for said in (kernel_experiment.title(spec), kernel_experiment.caption(spec)):
        assert "emulated" in said
    picture = kernel_experiment.FIGURE.drawn(spec)
    assert picture.png.startswith(b"\x89PNG")
    head, rows = kernel_experiment.rows(spec)
    assert all(len(row) == len(head) for row in rows)
    assert len(rows) == sum(r.cut != "none" for r in experiment.rows)


def test_the_command_compares_the_recorded_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "compare", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "perfmodel.experiment/1"
    assert main(["experiment", "compare", "--run", "nowhere"]) == 2
    assert "need the prediction" in capsys.readouterr().err
    assert main(["experiment", "compare", "nowhere"]) == 2
    assert "prediction.json" in capsys.readouterr().err


def test_a_folder_without_runs_is_named(experiment: Recorded, tmp_path: Path) -> None:
    prediction = (experiment.folder / "prediction.json").read_bytes()
    (tmp_path / "prediction.json").write_bytes(prediction)
    with pytest.raises(InputError, match="no run is there"):
        load_experiment(tmp_path)


def test_races_add_up_over_boots(tmp_path: Path) -> None:
    race = {"name": "dontneed", "cut": "k0", "ignore_exclusive": False, "ignore_nested": True,
            "rounds": 10, "met": 4, "reproduced": 1}  # fmt: skip
    document = {"schema": "perfmodel.race/1", "boots": [{"races": [race]}, {"races": [race]}]}
    path = tmp_path / "races.json"
    path.write_text(json.dumps(document))
    (one,) = race_counts([path, path])
    assert (one.name, one.cut, one.rule) == ("dontneed", "k0", "nested")
    assert (one.rounds, one.met, one.reproduced) == (40, 16, 4)
    path.write_text(json.dumps(document | {"schema": "perfmodel.bench/1"}))
    with pytest.raises(InputError, match="schema"):
        race_counts([path])
