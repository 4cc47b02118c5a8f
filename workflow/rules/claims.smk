# How settings were chosen, and what became of the paper's claims.
from semcom.config import BASELINE, PROPOSED

CLAIMED = {PROPOSED, BASELINE} <= {*CONFIG.grid.methods} and not CONFIG.data.withhold_test


rule trials:
    """All trials of an experiment that tries settings on validation rooms, such as config/trials.yaml."""
    input:
        rounds=finetune_files("rounds.csv"),
        steps=pretrain_files("steps.csv"),
        code=sources("semcom.trials", "semcom.tables"),
    output:
        f"{TABLES}/trials.csv",
    log:
        f"{RESULTS}/logs/trials.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        config=CONFIG.model_dump(),
    message:
        "Table of trials of {RESULTS}"
    script:
        "../scripts/trials.py"


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
