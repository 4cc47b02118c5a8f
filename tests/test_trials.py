"""The table of trials: what each changed, how it scored on validation rooms, and where stage I left it."""

import copy

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from semcom.config import parse_config
from semcom.errors import InputError
from semcom.trials import changes, family, trial_table

TRIALS = {
    "simclr-fast": {"like": "simclr", "pretrain": {"learning_rate": 0.5}},
    "simclr-faster": {"like": "simclr-fast", "options": {"temperature": 0.5}, "projector": [64]},
    "simclr-late": {"like": "simclr", "pretrained_by": "simclr", "augmentation": {"finetune": {"flip": 0.0}}},
}


@pytest.fixture
def config():
    raw = yaml.safe_load((ROOT / "config/test.yaml").read_text())
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
    assert family(config, "simclr-faster") == "simclr" and family(config, "supervised") == "supervised"
    assert changes(config, "simclr") == ""
    assert changes(config, "simclr-fast") == "pretrain.learning_rate 0.5"
    assert changes(config, "simclr-faster") == "options.temperature 0.5, pretrain.learning_rate 0.5, projector [64]"
    assert changes(config, "simclr-late") == "augmentation.finetune.flip 0.0, pretrained_by simclr"


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
    names = ["first_gradient_norm", "last_gradient_norm", "weight_norm", "feature_norm"]
    assert table.loc["simclr-late", names].tolist() == [100.0, 10.0, 100.0, 0.5]
    assert table.loc["supervised", names].isna().all()


def test_test_scenes_choose_nothing(config):
    with pytest.raises(InputError, match=r"data\.validation_fraction"):
        trial_table(accuracies(config, lambda *_: 0.4, split="test"), None, config)
