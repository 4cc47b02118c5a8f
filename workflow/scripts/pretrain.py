"""Glue: one run of stage I."""

from pathlib import Path

from semcom.common.reporting import reported_to
from semcom.config.stage import Stage
from semcom.runs.attempt import Attempt

job, seed = snakemake.params.job, int(snakemake.wildcards.seed)
kept = {"checkpoint": snakemake.params.checkpoint, "earlier": snakemake.params.earlier}
files = kept | {"inputs": snakemake.input, "outputs": snakemake.output}
with reported_to(snakemake.log[0]), Attempt(Stage.PRETRAIN, job, seed, **files) as attempt:
    # Not at the top: these take seconds, and from here on a signal ends the run in good order.
    from semcom.analysis.records import write_csv
    from semcom.common.checksums import write_checksum
    from semcom.data.scenes import load_scenes
    from semcom.models.encoders import save_encoders
    from semcom.runs.devices import choose
    from semcom.runs.provenance import Provenance
    from semcom.training.pretrain import pretrain
    from semcom.training.process import set_up

    settings = Stage.PRETRAIN.job_type(**job)
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
    result = pretrain(settings, scenes, seed, attempt)
    write_csv(result.steps, snakemake.output.steps)
    save_encoders(result.encoders, Path(snakemake.output.encoders), result.status)
    write_checksum(snakemake.output.encoders)
    told = {"status": result.status, "arithmetic": result.arithmetic, **attempt.account()}
    provenance.write(Path(snakemake.output.provenance), stage=Stage.PRETRAIN, **told)
