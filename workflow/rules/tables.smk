# Tables, each rebuilt from the per-run files alone.


rule tables:
    """All rounds in one tidy table, the summary, and what it costs to reach a target."""
    input:
        rounds=finetune_files("rounds.csv"),
        overhead=stage_one_overhead(),
        code=sources("semcom.analysis.tables", script="tables.py"),
    output:
        rounds=f"{TABLES}/rounds.csv",
        summary=report(
            f"{TABLES}/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"item": "Accuracy at the end of training (CSV)"},
        ),
        rounds_to_target=report(
            f"{TABLES}/rounds_to_target.csv",
            caption="../report/rounds_to_target.rst",
            category="Tables",
            labels={"item": "Communication to reach a target (CSV)"},
        ),
    log:
        f"{RESULTS}/logs/tables.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        settings=CONFIG.tables.model_dump(),
        methods=CONFIG.grid.methods,
        stage_one=STAGE_ONE,
    message:
        f"Tables of {RESULTS}"
    script:
        "../scripts/tables.py"


rule pretraining_tables:
    """How each run of stage I ended, and what stage I would cost if the devices were apart."""
    input:
        steps=pretrain_files("steps.csv"),
        code=sources(
            "semcom.analysis.tables",
            "semcom.link.pretraining_overhead",
            *(
                name
                for method in CONFIG.pretrained_methods()
                for name in link_modules(method, "modulation", "estimation")
            ),
            *(f"semcom.losses.{CONFIG.method(method).loss}" for method in CONFIG.pretrained_methods()),
            script="pretraining_tables.py",
        ),
    output:
        summary=report(
            f"{TABLES}/pretraining.csv",
            caption="../report/pretraining_summary.rst",
            category="Tables",
            labels={"item": "How pre-training ended (CSV)"},
        ),
        overhead=report(
            f"{TABLES}/pretraining_overhead.csv",
            caption="../report/pretraining_overhead.rst",
            category="Tables",
            labels={"item": "Pre-training if the devices were apart (CSV)"},
        ),
    log:
        f"{RESULTS}/logs/pretraining_tables.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        jobs={method: jobs.pretrain_job(CONFIG, method).model_dump() for method in CONFIG.pretrained_methods()},
        modulations={
            method: CONFIG.channel_settings(method).model_dump()["modulation"]
            for method in CONFIG.pretrained_methods()
        },
        pilots={method: CONFIG.pilots(method) for method in CONFIG.pretrained_methods()},
        bits_per_value=CONFIG.ledger.bits_per_value,
    message:
        f"Tables of stage I of {RESULTS}"
    script:
        "../scripts/pretraining_tables.py"
