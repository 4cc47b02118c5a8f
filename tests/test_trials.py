"""The table of trials: what each changed, how it scored on validation rooms, and where stage I left it."""

import copy

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT
from semcom.analysis.statistics import t_interval
from semcom.analysis.trials import ablation_table, changes, trial_table
from semcom.common.errors import InputError
from semcom.config.loading import load_config, parse_config

TRIALS = {
    "simclr-fast": {"like": "simclr", "pretrain": {"learning_rate": 0.5}},
    "simclr-faster": {"like": "simclr-fast", "options": {"temperature": 0.5}, "projector": [64]},
    "simclr-late": {"like": "simclr", "pretrained_by": "simclr", "augmentation": {"finetune": {"flip": 0.0}}},
}


@pytest.fixture
def config():
    raw = yaml.safe_load((ROOT / "tests/config.yaml").read_text())
    raw["methods"] |= copy.deepcopy(TRIALS)
    raw["grid"]["methods"] = ["supervised", "simclr", *TRIALS]
    return parse_config(raw)


def accuracies(config, score, split="validation"):
    rows = [
        {"method": m, "label_fraction": f, "seed": s, "split": split, "status": "ok", "accuracy": score(m, f, s)}
        for m in config.grid.methods
        for f in config.grid.label_fractions
        for s in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_a_trial_is_named_by_what_it_changes_of_its_family(config):
    assert config.family("simclr-faster") == "simclr" and config.family("supervised") == "supervised"
    assert changes(config, "simclr", "simclr") == ""
    assert changes(config, "simclr-fast", "simclr") == "pretrain.learning_rate 0.5"
    assert (
        changes(config, "simclr-faster", "simclr")
        == "options.temperature 0.5, pretrain.learning_rate 0.5, projector [64]"
    )
    assert changes(config, "simclr-faster", "simclr-fast") == "options.temperature 0.5, projector [64]"
    alone = {"depth-alone": {"like": "simclr", "modalities": ["depth"]}}
    of_one = load_config(ROOT / "tests/config.yaml", settings={"methods": alone})
    assert changes(of_one, "depth-alone", "simclr") == "modalities [depth]"
    assert changes(config, "simclr-late", "simclr") == "augmentation.finetune.flip 0.0, pretrained_by simclr"
    assert (
        changes(config, "simclr", "simclr-late") == "augmentation.finetune null, pretrained_by null"
    )  # as YAML has it


def test_trials_are_ranked_within_their_family_by_the_mean_of_all_runs(config):
    def score(method, fraction, seed):
        return {"simclr-fast": 0.6, "simclr-late": 0.5}.get(method, 0.4) - (0.2 if fraction < 1 else 0) + 0.01 * seed

    table = trial_table(accuracies(config, score), None, config)
    assert table["trial"].tolist() == ["supervised", "simclr-fast", "simclr-late", "simclr", "simclr-faster"]
    best = table.set_index("trial").loc["simclr-fast"]
    assert best[["score", "accuracy_labels1", "accuracy_labels0.5"]].tolist() == pytest.approx([0.505, 0.605, 0.405])
    assert (table["runs"] == 4).all() and (table["diverged"] == 0).all()


def test_a_diverged_run_counts_as_none_right(config):
    table = accuracies(config, lambda *_: 0.4)
    table.loc[(table["method"] == "simclr") & (table["seed"] == 1), ["status", "accuracy"]] = ["diverged", np.nan]
    row = trial_table(table, None, config).set_index("trial").loc["simclr"]
    assert row["score"] == pytest.approx(0.2) and row["diverged"] == 2


def test_stage_one_is_told_also_of_trials_that_start_from_another_s(config):
    steps = pd.DataFrame(
        {"method": m, "seed": seed, "step": step, "gradient_norm": 100.0 / step}
        | {f"weight_norm_{modality}": 10.0 * step for modality in config.modalities}
        | {f"feature_norm_{modality}": seed for modality in config.modalities}
        for m in config.pretrained_methods()
        for seed in (0, 1)
        for step in range(1, 11)
    )
    table = trial_table(accuracies(config, lambda *_: 0.4), steps, config).set_index("trial")
    names = ["first_gradient_norm", "gradient_growth", "last_gradient_norm", "weight_norm", "feature_norm"]
    assert table.loc["simclr-late", names].tolist() == pytest.approx([100.0, (100 / 3) / 75, 10.0, 100.0, 0.5])
    assert table.loc["supervised", names].isna().all()


def test_an_ablation_keeps_its_order_and_pairs_each_gain_by_seed(config):
    """Seeds differ by 0.3, gains by 0.01: unpaired, nothing would be seen."""
    gains = {"simclr": 0.1, "simclr-fast": 0.15, "simclr-faster": 0.13}

    def score(method, fraction, seed):
        return gains.get(method, 0.0) + 0.3 * seed + (0.01 if method == "simclr-faster" else 0) * seed - 0.1 * fraction

    rounds = pd.DataFrame(
        {"experiment": "test", "method": m, "snr_db": 10, "label_fraction": f, "seed": seed, "round": number}
        | {"gradient_norm": 10.0 * number * (1 + seed)}
        for m in config.grid.methods
        for f in config.grid.label_fractions
        for seed in (0, 1)
        for number in (2, 1, 3)
    )
    table = ablation_table(accuracies(config, score), None, rounds, config).set_index("trial")
    assert table.index.tolist() == config.grid.methods
    assert table["like"].fillna("").tolist() == ["", "", "simclr", "simclr-fast", "simclr"]
    assert table.loc["simclr-faster", "changes"] == "options.temperature 0.5, projector [64]"
    assert table.loc["simclr-fast", ["gain", "gain_ci95_low", "gain_ci95_high"]].tolist() == pytest.approx([0.05] * 3)
    gain, low, high = t_interval(np.array([-0.02, -0.01]))
    assert table.loc["simclr-faster", ["gain", "gain_ci95_low", "gain_ci95_high"]].tolist() == pytest.approx(
        [gain, low, high]
    )
    assert table.loc[["supervised", "simclr"], "gain"].isna().all()
    assert (table["first_round_gradient_norm"] == 15).all() and (table["largest_round_gradient_norm"] == 45).all()


def test_test_scenes_choose_nothing(config):
    with pytest.raises(InputError, match=r"data\.validation_fraction"):
        trial_table(accuracies(config, lambda *_: 0.4, split="test"), None, config)
