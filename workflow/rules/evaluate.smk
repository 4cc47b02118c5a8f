# What trained links answer: at the end of their training, and under other conditions (`evaluations:` of the
# configuration). Nothing is trained for either.
EVALUATION = f"{RESULTS}/evaluations/{{evaluation}}/{{method}}/seed{{seed}}"


def evaluated_methods(evaluation):
    """The methods that an evaluation asks."""
    return CONFIG.evaluations[evaluation].methods or CONFIG.grid.methods


def of_method_and_seed(wildcards, name):
    """A file of each run of stage II of a method and seed: of every SNR and label fraction of the grid."""
    of_method = [run for run in RUNS if run.stage is Stage.FINETUNE and run.method == wildcards.method]
    return [run.fill(f"{FINETUNE}/{name}") for run in of_method if run.seed == int(wildcards.seed)]


def evaluated_systems(wildcards):
    """The kept systems of a method and seed."""
    return of_method_and_seed(wildcards, "system.safetensors")


def evaluated_provenance(wildcards):
    """What is known of the runs that left them."""
    return of_method_and_seed(wildcards, "provenance.json")


def evaluated_traces(wildcards):
    """The channel traces of an evaluation's conditions."""
    conditions = CONFIG.evaluations[wildcards.evaluation].conditions
    channels = [CONFIG.condition_channel(wildcards.evaluation, name, wildcards.method) for name in conditions]
    return sorted({channel.snr_trace for channel in channels if channel.snr_trace})


def evaluated_contents(wildcards):
    """What the channel traces of an evaluation's conditions hold, by path."""
    return {path: content(path) for path in evaluated_traces(wildcards)}


def evaluation_job(wildcards):
    """The conditions of an evaluation, as a method takes them."""
    return jobs.evaluation_job(CONFIG, wildcards.evaluation, wildcards.method).model_dump()


def evaluation_code(wildcards):
    """The sources of an evaluation, with the method's backbone and the blocks of every link it is asked over."""
    channels = [
        CONFIG.channel_settings(wildcards.method),
        *(
            CONFIG.condition_channel(wildcards.evaluation, condition, wildcards.method)
            for condition in CONFIG.evaluations[wildcards.evaluation].conditions
        ),
    ]
    blocks = {f"semcom.link.{kind}.{getattr(channel, kind).name}" for channel in channels for kind in LINK_OFFERS}
    modules = "semcom.training.reevaluation", "semcom.training.process", backbone(wildcards)
    return sources(*modules, *sorted(blocks), script="evaluate.py")


def evaluation_parts(wildcards):
    """What the systems of each method and seed answered."""
    return expand(
        EVALUATION + ".csv",
        evaluation=wildcards.evaluation,
        method=evaluated_methods(wildcards.evaluation),
        seed=CONFIG.grid.seeds,
    )


def evaluation_files(wildcards):
    """The tables and figures of all evaluations.

    Raises:
        SystemExit: the configuration asks none.
    """
    if not CONFIG.evaluations:
        refuse(f"{os.path.relpath(FILE)} has no `evaluations:`; give a file that asks, as config/questions/fading.yaml")
    drawn = [name for name, asked in CONFIG.evaluations.items() if asked.figure]
    tables = expand(f"{TABLES}/{{name}}{{part}}.csv", name=CONFIG.evaluations, part=["", *EVALUATION_PARTS])
    return tables + expand(f"{FIGURES}/{{name}}{{suffix}}", name=drawn, suffix=artefacts.FORMATS)


def over_range(evaluation):
    """Of each method trained at one SNR, the one that is `like` it and trained over a range, if an evaluation has it."""
    chosen = evaluated_methods(evaluation)
    ranged = [method for method in chosen if CONFIG.finetune_settings(method).snr_range_db]
    return {CONFIG.family(method): method for method in ranged if CONFIG.family(method) in chosen}


def drawn_methods(evaluation):
    """The methods that have a line or a panel of their own; in a map those over a range are a row of another's."""
    within = over_range(evaluation).values() if CONFIG.evaluations[evaluation].figure == "map" else []
    return [method for method in evaluated_methods(evaluation) if method not in within]


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
