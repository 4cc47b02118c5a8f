"""The tables and figures of an experiment: one source for target `all` and for what is kept, shown and left alone."""

from semcom.config.experiment import BASELINE, EVALUATION_PARTS, PROPOSED, STUDY_PARTS, Config

FORMATS = (".pdf", ".svg", ".png")  # of each figure
CONTACT_SHEET = "contact_sheet"  # the one figure that shows scenes


def speaks_to_claims(config: Config) -> bool:
    """Whether the grid has what the paper's claims are about, and its test scenes are looked at."""
    return {PROPOSED, BASELINE} <= {*config.grid.methods} and not config.data.withhold_test


def tables(config: Config) -> list[str]:
    """Names of the tables that `all` makes: `tables/<name>.csv`."""
    names = ["rounds", "summary", "rounds_to_target", "confusion", "per_class"]
    names += [*config.figures.accuracy_by]
    names += [name + part for name in config.evaluations for part in ("", *EVALUATION_PARTS)]
    names += [name + part for name in config.baselines for part in ("", *STUDY_PARTS)]
    names += ["pretraining", "pretraining_overhead"] if config.pretrained_methods() else []
    return names + (["claims", "claim_tests"] if speaks_to_claims(config) else [])


def label_fractions(config: Config) -> dict[str, float | None]:
    """The label fraction that each of the paper's figures shows; None for one that is turned off."""
    return {"figure4": config.figures.figure4_label_fraction, "figure5": config.figures.figure5_label_fraction}


def cost_figures(config: Config, figure: str) -> dict[str, str]:
    """Names of one of the paper's figures against costs, by the cost."""
    return {cost: f"{figure}_{cost}" for cost in config.figures.costs}


def figures(config: Config) -> list[str]:
    """Names of the figures that `all` makes: `figures/<name>` in each of `FORMATS`."""
    names = [name for name, fraction in label_fractions(config).items() if fraction is not None]
    names += [drawn for name in names for drawn in cost_figures(config, name).values()]
    names += [*config.figures.accuracy_by, *(name for name, asked in config.evaluations.items() if asked.figure)]
    names += config.baselines
    names += ["confusion", "gradients", CONTACT_SHEET]
    return names + (["pretraining"] if config.pretrained_methods() else [])


def asked_for(config: Config) -> list[str]:
    """Names of the tables that are made only where they are asked for; an ablation has a figure of that name too."""
    return [config.tables.trials] if config.tables.trials else []


def files(config: Config) -> list[str]:
    """All that `all` makes of tables and figures, below the experiment's folder."""
    drawn = [f"figures/{name}{suffix}" for name in figures(config) for suffix in FORMATS]
    return drawn + [f"tables/{name}.csv" for name in tables(config)]
