# What is asked for, looked at once all rules are known: of a target that none makes, Snakemake itself says only that. A
# workflow that has these rules as a module has rules of its own, too, and is left to Snakemake.
from snakemake.cli import parse_args

from semcom.config.targets import explained


def asked_for():
    """Targets of the command line and its profile; none where Snakemake was not started by its own command."""
    if not (workflow.is_main_process and Path(sys.argv[0]).name in ("snakemake", "__main__.py")):
        return []
    given = parse_args(None)[1]  # what Snakemake makes of it, it tells its rules only later
    return [*(given.targets or ()), *(given.forcerun or ()), *(given.until or ()), *(given.omit_from or ())]


def check_targets():
    """Every target must be a rule, or a file that one makes or that is there.

    Raises:
        SystemExit: one is not; a line says what is near it.
    """
    plain = [rule for rule in workflow.rules if not rule.has_wildcards()]
    files = [*ARTEFACTS, REPORT, *(str(file) for rule in plain for file in rule.output)]
    files += [run.fill(f"{paths.folder(CONFIG.experiment, run.stage)}/{run.stage.outputs[0]}") for run in RUNS]
    for target in asked_for():
        if workflow.is_rule(target) or Path(target).is_file():
            continue
        if not any(each.is_producer(target) for each in workflow.rules):
            refuse(explained(target, CONFIG, os.path.relpath(FILE), [rule.name for rule in plain], files))
