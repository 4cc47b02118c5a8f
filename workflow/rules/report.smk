# The self-contained HTML report, and the list of all that a run leaves.
#
# Every item of the report has one label. With more, Snakemake 9's report turns a label whose two values share a
# category evenly into a switch, and the page goes blank where an item lacks one of the two.
from semcom.runs import leftovers

REPORT = f"{RESULTS}/report.html"
TABLE_PAGES = {  # table -> category, title, caption
    "tables/summary": ("Tables", "Accuracy at the end of training", "summary"),
    "tables/rounds_to_target": ("Tables", "Communication to reach a target", "rounds_to_target"),
    "tables/per_class": ("Tables", "Recall and precision of each class", "per_class"),
    "data/class_counts": ("Data", "Scenes per class", "class_counts"),
}
if CONFIG.pretrained_methods():
    TABLE_PAGES |= {
        "tables/pretraining": ("Tables", "How pre-training ended", "pretraining_summary"),
        "tables/pretraining_overhead": ("Tables", "Pre-training if the devices were apart", "pretraining_overhead"),
    }
if artefacts.speaks_to_claims(CONFIG):
    TABLE_PAGES |= {
        "tables/claims": ("Tables", "The paper's claims", "claims"),
        "tables/claim_tests": ("Tables", "The tests of each claim", "claim_tests"),
    }
TABLE_PAGES |= {f"tables/{name}": ("Tables", by_title(name), "accuracy_by") for name in ACCURACY_BY}
TABLE_PAGES |= {
    f"tables/{name}_summary": ("Tables", f"{name}: trained links under other conditions", "evaluation_summary")
    for name in CONFIG.evaluations
}
for name in CONFIG.baselines:
    TABLE_PAGES |= {
        f"tables/{name}_verdict": ("Tables", f"{name}: which way to the server is best", "baselines"),
        f"tables/{name}_training": ("Tables", f"{name}: what training sends", "baselines"),
    }
ARTEFACTS = [f"{RESULTS}/{file}" for file in [*artefacts.files(CONFIG), "config.yaml", "data/class_counts.csv"]]
ARTEFACTS.append(EXPLORER)

NOT_NAMED = "SEMCOM_NOT_NAMED"  # tells the second Snakemake, which reads the same rules, what the first page says
if NOT_NAMED in os.environ:
    from semcom.figures.first_page import first_page

    config["first_page"] = first_page(CONFIG) | {"not_named": os.environ[NOT_NAMED]}

CAPTIONS = []  # those that were fetched change with their version alone
if CHECKOUT:
    CAPTIONS = sorted(report_source(path.name) for path in (CHECKOUT / "workflow/report").glob("*.rst"))


report: "../report/workflow.rst"


rule configuration:
    """The configuration in force, whole, as one file that runs the same experiment again."""
    input:
        code=sources(script="configuration.py"),
    output:
        f"{RESULTS}/config.yaml",
    log:
        f"{RESULTS}/logs/configuration.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        config=CONFIG.model_dump(),
    message:
        "Write {output}"
    script:
        "../scripts/configuration.py"


for table, (category, title, caption) in TABLE_PAGES.items():

    rule:
        name:
            f"{Path(table).name}_page"
        input:
            table=f"{RESULTS}/{table}.csv",
            caption=report_source(f"{caption}.rst"),
            code=sources(script="table_page.py"),
        output:
            report(
                f"{RESULTS}/{table}.html",
                caption=f"../report/{caption}.rst",
                category=category,
                labels={"item": title},
            ),
        log:
            f"{RESULTS}/logs/{Path(table).name}_page.log",
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            title=title,
            labels=CONFIG.labels(),
        message:
            "Write {output}"
        script:
            "../scripts/table_page.py"


rule html_report:
    """Snakemake's own report, of everything but itself: a second Snakemake reads what the first has recorded."""
    input:
        artefacts=ARTEFACTS + [f"{RESULTS}/{table}.html" for table in TABLE_PAGES],
        config=f"{RESULTS}/config.yaml",
        captions=CAPTIONS,
        style=report_source("style.css"),
        metadata=report_source("metadata.yaml"),
        code=[os.path.relpath(path) for path in source_files("semcom.figures.first_page")]
        + ([os.path.relpath(CHECKOUT / "workflow/rules/report.smk")] if CHECKOUT else []),
        # the command below
    output:
        REPORT,
    log:
        f"{RESULTS}/logs/report.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        python=PYTHON,  # its Snakemake need not be on the PATH
        snakefile=os.path.relpath(workflow.main_snakefile),
        temporary=lambda wildcards, output: os.path.splitext(output[0])[0],  # with this shell's number; moved when it is whole
        not_named=lambda wildcards: leftovers.told(CONFIG),
    message:
        "Write {output}"
    shell:
        f"{NOT_NAMED}={{params.not_named:q}} "
        "{params.python:q} -m snakemake --snakefile {params.snakefile:q} --configfile {input.config:q} --nolock "
        "--profile none --workflow-profile none --report {params.temporary:q}.$$.tmp.html "
        "--report-stylesheet {input.style:q} --report-metadata {input.metadata:q} "
        "-- {input.artefacts:q} > {log:q} 2>&1 && "
        "mv {params.temporary:q}.$$.tmp.html {output:q} || {{ rm -f {params.temporary:q}.$$.tmp.html; exit 1; }}"
