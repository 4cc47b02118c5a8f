# The self-contained HTML report, and the list of all that a run leaves.
REPORT = f"{RESULTS}/report.html"
ARTEFACTS = (
    [f"{FIGURES}/{name}{suffix}" for name in [*SHOWN, "contact_sheet"] for suffix in FORMATS]
    + [f"{TABLES}/{name}.csv" for name in ("rounds", "summary", "rounds_to_target")]
    + [f"{RESULTS}/config.yaml", f"{RESULTS}/data/class_counts.csv"]
)
if pretrained_methods():
    ARTEFACTS += [f"{FIGURES}/pretraining{suffix}" for suffix in FORMATS]
    ARTEFACTS += [f"{TABLES}/{name}.csv" for name in ("pretraining", "pretraining_overhead")]


rule configuration:
    """The configuration in force, whole, as one file that runs the same experiment again."""
    output:
        f"{RESULTS}/config.yaml",
    log:
        f"{RESULTS}/logs/configuration.log",
    conda:
        "../../envs/semcom.yaml"
    localrule: True
    params:
        config=CONFIG.model_dump(),
    message:
        "Write {output}"
    script:
        "../scripts/configuration.py"


rule html_report:
    """Snakemake's own report, of everything but itself: a second Snakemake reads what the first has recorded."""
    input:
        artefacts=ARTEFACTS,
        config=f"{RESULTS}/config.yaml",
        captions=sorted(str(path) for path in (Path(workflow.basedir) / "workflow/report").glob("*.rst")),
    output:
        REPORT,
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/semcom.yaml"
    localrule: True
    params:
        snakefile=workflow.main_snakefile,
    message:
        "Write {output}"
    shell:
        "snakemake --snakefile {params.snakefile} --configfile {input.config} --nolock --report {output} "
        "--report-stylesheet {workflow.basedir}/workflow/report/style.css -- {input.artefacts} > {log} 2>&1"
