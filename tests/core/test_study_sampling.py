"""The study of noisy sampling: its quick form from the shell, its rows, and what it counts as recovered."""

from __future__ import annotations

import pytest
import torch
from click.testing import CliRunner

from sagvae_core.cli import cli
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import MODELS
from sagvae_core.runs import shipped_folder
from sagvae_core.studies import noisy_sampling
from sagvae_core.studies.cells import Cell
from sagvae_core.studies.noisy_sampling import noisy_sampling_rows, setting_name, task_name
from sagvae_core.studies.reading import ROW, read_record, table
from sagvae_core.studies.record import aggregate

TASKS = [task_name("digits", sampler) for sampler in noisy_sampling.SAMPLERS]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "quick.json"
    done = CliRunner().invoke(cli, ["study", "sampling", "--quick", "--quiet", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith(str(out))
    return read_record(out)


def test_the_quick_study_judges_every_model_with_every_sampler(record):
    assert (record["study"], record["command"]) == ("sampling", "sagvae study sampling --quick")
    recovered = table(record, "classes_recovered")
    assert list(recovered) == TASKS
    for found in recovered.values():
        assert {method for method, _ in found} == {"held-out pictures", *(MODELS[role] for role in
                                                                          noisy_sampling.ROLES)}
        assert found["held-out pictures", ""][0] == 10
        assert all(0 <= mean <= 10 for mean, _, _ in found.values())
        assert found["SAG-VAE", "0 of 64"][0] >= 9, "clean samples show their class"
    for found in table(record, "share").values():
        assert {setting for method, setting in found if method == "VAE, 20-dim code"} == {
            "0 of 20", "5 of 20", "5 of 20, noise over the codes' range"}
        for model, latents in (("SAG-VAE", 64), ("VAE (A = I)", 64)):
            assert found[model, f"16 of {latents}"][0] < found[model, f"0 of {latents}"][0], "noise costs something"


def test_the_share_is_the_mean_over_the_classes(record):
    rows = [row for row in record["rows"] if (row["task"], row["method"], row["setting"]) == (
        TASKS[0], "SAG-VAE", "16 of 64")]
    values = {row["metric"]: row["mean"] for row in rows}
    own = [values[f"share of {digit}"] for digit in range(10)]
    assert values["share"] == pytest.approx(sum(own) / 10)
    assert "share_filtered" not in values, "a 3 x 3 median leaves nothing of 8 x 8 pixels"
    assert 0 <= values["canvas"] <= 1


def test_a_cell_gives_the_same_numbers_twice_and_others_with_another_seed():
    cell = Cell(TASKS[1], "SAG-VAE", "16 of 64", 1001, True)
    assert noisy_sampling.measure(cell) == noisy_sampling.measure(cell)
    other = Cell(TASKS[1], "SAG-VAE", "16 of 64", 1002, True)
    assert noisy_sampling.measure(other).metrics["canvas"] != noisy_sampling.measure(cell).metrics["canvas"]


def test_the_rows_without_a_file_are_those_of_the_record(record, monkeypatch):
    rows = noisy_sampling_rows(("digits",), (noisy_sampling.FIRST_SEED,), quick=True)
    assert rows == record["rows"]
    assert all(tuple(row) == ROW for row in rows)
    assert rows == aggregate({cell: noisy_sampling.measure(cell).metrics for cell in
                              noisy_sampling._cells(("digits",), (noisy_sampling.FIRST_SEED,), True)})


@pytest.mark.parametrize(("called", "recovered"), [
    ([1, 1, 2], True), ([1, 2], False), ([2, 2, 1], False), ([1], True), ([0, 0], False), ([], False)])
def test_a_class_is_recovered_by_more_votes_than_any_other(called, recovered):
    assert noisy_sampling._recovered(torch.tensor(called, dtype=torch.long), 1) is recovered


def test_an_unknown_data_set_is_a_sentence():
    with pytest.raises(SagvaeError, match="dataset must be one of 'mnist', 'fashion', 'digits', got 'karate'"):
        noisy_sampling_rows(("karate",))


def test_the_committed_record_is_of_this_study():
    record = read_record(shipped_folder().parent / "studies" / "sampling.json")
    assert record["study"] == "sampling" and len(record["seeds"]) >= 3
    recovered = table(record, "classes_recovered")
    for sampler in noisy_sampling.SAMPLERS:
        found = recovered[task_name("mnist", sampler)]
        assert [setting for method, setting in found if method == "SAG-VAE"] == [
            *(setting_name(count, 784) for count in noisy_sampling.COUNTS),
            setting_name(200, 784, noisy_sampling.RANGE)]
        assert found["SAG-VAE", "200 of 784"][0] >= 9, "at least nine of ten classes, as the README says"
        assert found["SAG-VAE", "200 of 784"][2] == len(record["seeds"])
