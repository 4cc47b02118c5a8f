# What the rules of baselines.smk are given: systems, schemes, sources.
ANSWERED = f"{RESULTS}/baselines/{{study}}/seed{{seed}}"


def baseline_methods(study):
    """The methods of a study: classifiers of devices and server, and those whose features are sent."""
    settings = CONFIG.baselines[study]
    classifiers = [*settings.local.values(), *filter(None, [settings.server])]
    return list(dict.fromkeys([*classifiers, *settings.methods]))


def baseline_runs(study, method):
    """The runs whose systems a study asks: classifiers trained without noise, features at the tested SNR, or else the
    highest of the grid."""
    settings, grid = CONFIG.baselines[study], CONFIG.grid
    wanted = {max(grid.snr_db)}
    if method in settings.methods:
        wanted = {snr if snr in grid.snr_db else max(grid.snr_db) for snr in settings.snr_db}
    return [
        run
        for run in RUNS
        if run.stage is Stage.FINETUNE
        and run.method == method
        and run.snr_db in wanted
        and run.label_fraction == max(grid.label_fractions)
    ]


def of_study_and_seed(wildcards, name):
    """A file of each run of one seed that a study asks."""
    runs = [run for method in baseline_methods(wildcards.study) for run in baseline_runs(wildcards.study, method)]
    return [run.fill(f"{FINETUNE}/{name}") for run in runs if run.seed == int(wildcards.seed)]


def baseline_systems(wildcards):
    """The kept systems of one seed."""
    return of_study_and_seed(wildcards, "system.safetensors")


def baseline_provenance(wildcards):
    """What is known of the runs that left them."""
    return of_study_and_seed(wildcards, "provenance.json")


def baseline_job(wildcards):
    """The settings of a study that decide its result."""
    return jobs.baselines_job(CONFIG, wildcards.study).model_dump()


def baseline_code(wildcards):
    """The sources of a study, with its schemes, and the backbones and links of its methods."""
    methods = baseline_methods(wildcards.study)
    schemes = [f"semcom.baselines.schemes.{scheme.name}" for scheme in CONFIG.baselines[wildcards.study].schemes]
    backbones = [f"semcom.models.backbones.{CONFIG.encoder_settings(method).backbone}" for method in methods]
    links = [module for method in methods for module in link_modules(method)]
    own = ["semcom.baselines.study", "semcom.training.process", "semcom.link.modulation.packed"]
    return sources(*own, *schemes, *sorted({*backbones, *links}), script="baselines_of_seed.py")


def baseline_parts(name):
    """A file of every seed of a study."""
    return lambda wildcards: expand(f"{ANSWERED}/{name}.csv", study=wildcards.study, seed=CONFIG.grid.seeds)


def baseline_rounds(wildcards):
    """The ledgers of the methods whose features are sent."""
    methods = CONFIG.baselines[wildcards.study].methods
    runs = [run for method in methods for run in baseline_runs(wildcards.study, method)]
    return [run.fill(f"{FINETUNE}/rounds.csv") for run in runs]


def baseline_stage_one(study):
    """Of each method whose features are sent, the one whose stage I it starts from, if any."""
    sources_of = {method: CONFIG.stage_one(method) for method in CONFIG.baselines[study].methods}
    return {method: source for method, source in sources_of.items() if source}


def baseline_steps(wildcards):
    """The steps of each such stage I."""
    first = set(baseline_stage_one(wildcards.study).values())
    runs = [run for run in RUNS if run.stage is Stage.PRETRAIN and run.method in first]
    return [run.fill(f"{PRETRAIN}/steps.csv") for run in runs]


def baseline_senders(study):
    """The senders of a study, in the order of its figure."""
    return [scheme.name for scheme in CONFIG.baselines[study].schemes] + CONFIG.baselines[study].methods


def baseline_lines(study):
    """The lines of a study's figure: each scheme, and the methods that go back to one entry."""
    lines = {scheme.name: [scheme.name] for scheme in CONFIG.baselines[study].schemes}
    for method in CONFIG.baselines[study].methods:
        lines.setdefault(CONFIG.family(method), []).append(method)
    return lines


def baseline_labels(study):
    """What figures and verdicts call senders and lines."""
    schemes = {
        scheme.name: plugins.load("semcom.baselines.schemes", scheme.name).LABEL
        for scheme in CONFIG.baselines[study].schemes
    }
    families = {
        CONFIG.family(method): CONFIG.label(CONFIG.family(method)) for method in CONFIG.baselines[study].methods
    }
    return CONFIG.labels() | families | schemes
