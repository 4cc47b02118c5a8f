# What the rules of evaluate.smk are given: systems, conditions, sources.
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
        f"{EVALUATION}.csv",
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
