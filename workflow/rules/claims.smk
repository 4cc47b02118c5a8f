# How settings were chosen, and what became of the paper's claims.
from semcom.config import BASELINE, PROPOSED

CLAIMED = {PROPOSED, BASELINE} <= {*CONFIG.grid.methods} and not CONFIG.data.withhold_test


rule trials:
    """All trials of an experiment that tries settings on validation rooms, such as config/trials.yaml.

    Others of its trials, those that config/finalists.yaml gives more seeds and those whose encoders config/frozen.yaml
    leaves as they are, have tables of their own in the same folder.
    """
    input:
        rounds=finetune_files("rounds.csv"),
        steps=pretrain_files("steps.csv"),
        code=sources("semcom.trials", "semcom.tables"),
    output:
        f"{TABLES}/{{trials}}.csv",
    log:
        f"{RESULTS}/logs/{{trials}}.log",
    wildcard_constraints:
        trials="trials|finalists|frozen",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        config=CONFIG.model_dump(),
    message:
        "Table of {wildcards.trials} of {RESULTS}"
    script:
        "../scripts/trials.py"


rule ablation:
    """One change after the other, from a loss to the letter to settings that work, on validation rooms."""
    input:
        rounds=finetune_files("rounds.csv"),
        steps=pretrain_files("steps.csv"),
        round_steps=finetune_files("steps.csv"),
        code=sources("semcom.trials", "semcom.figures"),
    output:
        f"{TABLES}/ablation.csv",
        f"{FIGURES}/ablation.pdf",
        f"{FIGURES}/ablation.svg",
        f"{FIGURES}/ablation.png",
    log:
        f"{RESULTS}/logs/ablation.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        config=CONFIG.model_dump(),
    message:
        "Ablation of {RESULTS}"
    script:
        "../scripts/ablation.py"


rule claims:
    """The paper's claims in words: every test, and the verdict on each claim."""
    input:
        rounds=finetune_files("rounds.csv"),
        steps=pretrain_files("steps.csv"),
        round_steps=finetune_files("steps.csv"),
        code=sources("semcom.claims"),
    output:
        tests=f"{TABLES}/claim_tests.csv",
        verdicts=f"{TABLES}/claims.csv",
    log:
        f"{RESULTS}/logs/claims.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        settings=CONFIG.tables.model_dump(),
        methods=CONFIG.grid.methods,
    message:
        "Claims of {RESULTS}"
    script:
        "../scripts/claims.py"
