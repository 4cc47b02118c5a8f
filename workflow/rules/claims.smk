# How settings were chosen, and what became of the paper's claims.


if CONFIG.tables.trials and CONFIG.tables.trials_kind == "ablation":

    rule ablation:
        """One change after the other, from a loss to the letter to settings that work, on validation rooms."""
        input:
            rounds=finetune_files("rounds.csv"),
            steps=pretrain_files("steps.csv"),
            round_steps=finetune_files("steps.csv"),
            code=sources("semcom.analysis.trials", "semcom.figures.ablation", script="ablation.py"),
        output:
            f"{TABLES}/{CONFIG.tables.trials}.csv",
            f"{FIGURES}/{CONFIG.tables.trials}.pdf",
            f"{FIGURES}/{CONFIG.tables.trials}.svg",
            f"{FIGURES}/{CONFIG.tables.trials}.png",
        log:
            f"{RESULTS}/logs/{CONFIG.tables.trials}.log",
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            config=CONFIG.model_dump(),
        message:
            f"Ablation {CONFIG.tables.trials} of {RESULTS}"
        script:
            "../scripts/ablation.py"

elif CONFIG.tables.trials:

    rule trials:
        """All trials of the grid, by their accuracy on validation rooms."""
        input:
            rounds=finetune_files("rounds.csv"),
            steps=pretrain_files("steps.csv"),
            code=sources("semcom.analysis.trials", "semcom.analysis.tables", script="trials.py"),
        output:
            f"{TABLES}/{CONFIG.tables.trials}.csv",
        log:
            f"{RESULTS}/logs/{CONFIG.tables.trials}.log",
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            config=CONFIG.model_dump(),
        message:
            f"Table of {CONFIG.tables.trials} of {RESULTS}"
        script:
            "../scripts/trials.py"


rule claims:
    """The paper's claims in words: every test, and the verdict on each claim."""
    input:
        rounds=finetune_files("rounds.csv"),
        steps=pretrain_files("steps.csv"),
        round_steps=finetune_files("steps.csv"),
        overhead=stage_one_overhead(),
        code=sources("semcom.analysis.claims", script="claims.py"),
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
        stage_one=STAGE_ONE,
    message:
        f"Claims of {RESULTS}"
    script:
        "../scripts/claims.py"
