# The explorer: curves, trained links at other SNRs, and tables that can be sorted, as one page.
EXPLORER = f"{RESULTS}/explorer.html"


rule explorer:
    """One page to look further: it carries all that it shows, and is listed in the report."""
    input:
        rounds=f"{TABLES}/rounds.csv",
        summary=f"{TABLES}/summary.csv",
        rounds_to_target=f"{TABLES}/rounds_to_target.csv",
        per_class=f"{TABLES}/per_class.csv",
        claims=[f"{TABLES}/claims.csv"] * artefacts.speaks_to_claims(CONFIG),
        claim_tests=[f"{TABLES}/claim_tests.csv"] * artefacts.speaks_to_claims(CONFIG),
        overhead=stage_one_overhead(),
        evaluations=[f"{TABLES}/{name}.csv" for name in CONFIG.evaluations],
        counts=f"{RESULTS}/data/class_counts.csv",
        frame=report_source("explorer.html"),
        looks=report_source("explorer.css"),
        script=report_source("explorer.js"),
        code=sources(
            "semcom.analysis.costs",
            "semcom.analysis.evaluations",
            "semcom.figures.explorer",
            "semcom.figures.explorer_tables",
            script="explorer.py",
        ),
    output:
        report(
            EXPLORER,
            caption="../report/explorer.rst",
            category="Explorer",
            labels={"item": "Curves, SNR at test, and tables to sort"},
        ),
    log:
        f"{RESULTS}/logs/explorer.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        experiment=CONFIG.experiment,
        methods=CONFIG.grid.methods,
        labels=CONFIG.labels(),
        stage_one=STAGE_ONE,
        ledger=CONFIG.ledger.model_dump(),
        conditions={name: CONFIG.condition_labels(name) for name in CONFIG.evaluations},
    message:
        "Write {output}"
    script:
        "../scripts/explorer.py"
