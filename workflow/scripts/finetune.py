"""Glue: one run of stage II."""

from pathlib import Path

from semcom.common.reporting import reported_to
from semcom.config.stage import Stage
from semcom.runs.attempt import Attempt

job, seed = snakemake.params.job, int(snakemake.wildcards.seed)
kept = {"checkpoint": snakemake.params.checkpoint, "earlier": snakemake.params.earlier}
files = kept | {"inputs": snakemake.input, "outputs": snakemake.output}
with reported_to(snakemake.log[0]), Attempt(Stage.FINETUNE, job, seed, **files) as attempt:
    # Not at the top: these take seconds, and from here on a signal ends the run in good order.
    from semcom.analysis.records import RUN, write_csv, write_rounds
    from semcom.data.scenes import load_scenes
    from semcom.models.kept_system import KeptSystem, save_system
    from semcom.runs.devices import choose
    from semcom.runs.provenance import Provenance
    from semcom.training.answers import KeptAnswers, save_answers
    from semcom.training.finetune import finetune
    from semcom.training.process import set_up

    settings = Stage.FINETUNE.job_type(**job)
    set_up(settings.compute)
    device = choose(settings.compute)
    provenance = Provenance(job, seed, device)
    scenes = load_scenes(
        snakemake.input.scenes,
        snakemake.input.splits,
        device=device,
        modalities=settings.modalities,
        in_memory_mb=settings.compute.data_in_memory_mb,
    )
    encoders = snakemake.input.get("encoders")
    result = finetune(settings, scenes, seed, Path(encoders) if encoders else None, attempt)
    write_rounds(result.rounds, snakemake.output.rounds)
    write_csv(result.ledger, snakemake.output.ledger)
    write_csv(result.steps, snakemake.output.steps)
    run = {key: getattr(settings, key) for key in RUN if key != "seed"} | {"seed": seed}
    answers = KeptAnswers(run, result.answers, scenes.class_names, result.status)
    save_answers(answers, Path(snakemake.output.answers))
    if "system" in snakemake.output.keys():
        kept = KeptSystem(result.system, settings, seed, result.status, result.arithmetic)
        save_system(kept, scenes, Path(snakemake.output.system))
    told = {"status": result.status, "arithmetic": result.arithmetic, **attempt.account()}
    provenance.write(Path(snakemake.output.provenance), stage=Stage.FINETUNE, **told)
