"""Glue: one run of stage I."""

from pathlib import Path

from semcom import training
from semcom.checkpoint import Checkpoint, fingerprint
from semcom.data.scenes import load_scenes
from semcom.encoders import save_encoders
from semcom.jobs import PretrainJob
from semcom.pretrain import pretrain
from semcom.progress import reported_to
from semcom.provenance import Provenance
from semcom.tables import write_csv

with reported_to(snakemake.log[0]):
    job, seed = PretrainJob(**snakemake.params.job), int(snakemake.wildcards.seed)
    device = training.set_up(job.compute)
    provenance = Provenance(snakemake.params.job, seed, device)
    scenes = load_scenes(snakemake.input.scenes, snakemake.input.splits, device=device, modalities=job.modalities)
    run = fingerprint(snakemake.params.job, seed, snakemake.input)
    checkpoint = Checkpoint(Path(snakemake.params.checkpoint), run)
    result = pretrain(job, scenes, seed, checkpoint)
    write_csv(result.steps, Path(snakemake.output.steps))
    save_encoders(result.encoders, Path(snakemake.output.encoders), result.status)
    provenance.write(
        Path(snakemake.output.provenance), earlier_s=checkpoint.earlier_s, stage="pretrain", status=result.status
    )
    checkpoint.remove()
