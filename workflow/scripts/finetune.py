"""Glue: one run of stage II."""

from pathlib import Path

from semcom import training
from semcom.checkpoint import Checkpoint, fingerprint
from semcom.data.scenes import load_scenes
from semcom.finetune import finetune
from semcom.jobs import FinetuneJob
from semcom.progress import reported_to
from semcom.provenance import Provenance
from semcom.tables import write_csv

with reported_to(snakemake.log[0]):
    job, seed = FinetuneJob(**snakemake.params.job), int(snakemake.wildcards.seed)
    device = training.set_up(job.compute)
    provenance = Provenance(snakemake.params.job, seed, device)
    scenes = load_scenes(snakemake.input.scenes, snakemake.input.splits, device=device, modalities=job.modalities)
    encoders = snakemake.input.get("encoders")
    run = fingerprint(snakemake.params.job, seed, snakemake.input)
    checkpoint = Checkpoint(Path(snakemake.params.checkpoint), run)
    result = finetune(job, scenes, seed, Path(encoders) if encoders else None, checkpoint)
    write_csv(result.rounds, Path(snakemake.output.rounds))
    write_csv(result.ledger, Path(snakemake.output.ledger))
    provenance.write(
        Path(snakemake.output.provenance), earlier_s=checkpoint.earlier_s, stage="finetune", status=result.status
    )
    checkpoint.remove()
