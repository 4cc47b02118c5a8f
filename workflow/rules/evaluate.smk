# What trained links answer: at the end of their training, and under other conditions (`evaluations:` of the
# configuration). Nothing is trained for either.


rule confusion:
    """Recall and precision of each class, and confusion matrices, of what every run answered at its end."""
    input:
        answers=finetune_files("answers.safetensors"),
        code=sources("semcom.analysis.confusion", "semcom.figures.confusion", script="confusion.py"),
    output:
        f"{FIGURES}/confusion.pdf",
        report(
            f"{FIGURES}/confusion.svg",
            caption="../report/confusion.rst",
            category="Figures",
            labels={"item": "Which classes are taken for which"},
        ),
        f"{FIGURES}/confusion.png",
        confusion=f"{TABLES}/confusion.csv",
        per_class=f"{TABLES}/per_class.csv",
    log:
        f"{RESULTS}/logs/confusion.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        methods=CONFIG.grid.methods,
        snr_db=max(CONFIG.grid.snr_db),
        label_fraction=max(CONFIG.grid.label_fractions),
        labels=CONFIG.labels(),
    message:
        "Confusion matrices and recall per class"
    script:
        "../scripts/confusion.py"


if CONFIG.evaluations:

    rule evaluate:
        """Score the trained links of a method and seed under the conditions of an evaluation."""
        input:
            scenes=ancient(SCENES),
            splits=SPLITS,
            checksums=checksums(SCENES, SPLITS),
            systems=ancient(evaluated_systems),
            provenance=evaluated_provenance,  # has the systems' checksums
            traces=ancient(evaluated_traces),
            code=evaluation_code,
        output:
            f"{EVALUATION}.csv",
        log:
            f"{RESULTS}/logs/evaluations/{{evaluation}}/{{method}}/seed{{seed}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/evaluations/{{evaluation}}/{{method}}/seed{{seed}}.tsv"
        wildcard_constraints:
            evaluation="|".join(CONFIG.evaluations),
        conda:
            "../../envs/semcom.yaml"
        threads: CONFIG.compute.threads
        params:
            # No parameter of those that ask along none: a further one would run every finished evaluation again.
            **({"traces": evaluated_contents} if any(not use.trains for use in CONFIG.traces()) else {}),
            job=evaluation_job,
            modalities=lambda wildcards: CONFIG.modalities_of(wildcards.method),
        message:
            "Evaluate {wildcards.evaluation}: {wildcards.method}, seed {wildcards.seed}"
        script:
            "../scripts/evaluate.py"

    rule evaluation_table:
        """An evaluation of all methods and seeds as one tidy table, and its summary over the seeds."""
        input:
            parts=evaluation_parts,
            splits=SPLITS,
            checksums=checksums(SPLITS),
            code=sources("semcom.analysis.evaluations", script="evaluation_table.py"),
        output:
            table=f"{TABLES}/{{evaluation}}.csv",
            summary=f"{TABLES}/{{evaluation}}_summary.csv",
        log:
            f"{RESULTS}/logs/evaluations/{{evaluation}}.log",
        wildcard_constraints:
            evaluation="|".join(CONFIG.evaluations),
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            methods=lambda wildcards: evaluated_methods(wildcards.evaluation),
        message:
            "Table of evaluation {wildcards.evaluation}"
        script:
            "../scripts/evaluation_table.py"

    rule evaluation_figure:
        """The figure of an evaluation."""
        input:
            table=f"{TABLES}/{{evaluation}}.csv",
            splits=SPLITS,
            checksums=checksums(SPLITS),
            code=sources("semcom.analysis.evaluations", "semcom.figures.evaluations", script="evaluation_figure.py"),
        output:
            f"{FIGURES}/{{evaluation}}.pdf",
            report(
                f"{FIGURES}/{{evaluation}}.svg",
                caption="../report/evaluation.rst",
                category="Figures",
                labels=lookup(
                    dpath="{evaluation}",
                    within={
                        name: {"item": f"{name}: trained links under other conditions"} for name in CONFIG.evaluations
                    },
                ),
            ),
            f"{FIGURES}/{{evaluation}}.png",
        log:
            f"{RESULTS}/logs/evaluations/figures/{{evaluation}}.log",
        wildcard_constraints:
            evaluation="|".join(CONFIG.evaluations),
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            figure=lambda wildcards: CONFIG.evaluations[wildcards.evaluation].figure,
            methods=lambda wildcards: drawn_methods(wildcards.evaluation),
            over_range=lambda wildcards: over_range(wildcards.evaluation),
            spans=lambda wildcards: {
                m: CONFIG.finetune_settings(m).snr_range_db for m in over_range(wildcards.evaluation).values()
            },
            lines=lambda wildcards: {m: CONFIG.family(m) for m in evaluated_methods(wildcards.evaluation)},
            conditions=lambda wildcards: CONFIG.condition_labels(wildcards.evaluation),
            labels=CONFIG.labels(),
        message:
            "Draw evaluation {wildcards.evaluation}"
        script:
            "../scripts/evaluation_figure.py"


rule evaluations:
    """All tables and figures of `evaluations:`, and nothing else."""
    input:
        evaluation_files,
    localrule: True
