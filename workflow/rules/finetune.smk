# Stage II: one run a method, SNR, label fraction and seed.


def finetune_job(wildcards):
    """The settings of stage II that decide this cell's result."""
    return CONFIG.finetune_job(
        wildcards.method, float(wildcards.snr_db), float(wildcards.label_fraction)
    ).model_dump()


def pretrained_encoders(wildcards):
    """The encoders that a cell starts from; none for a method without a stage I."""
    return f"{PRETRAIN}/encoders.pt" if CONFIG.method(wildcards.method).loss else []


rule finetune:
    """Train encoders and decoder through the channel, Algorithm 1, second half, and keep the ledger."""
    input:
        scenes=f"{RESULTS}/data/scenes.h5",
        splits=f"{RESULTS}/data/splits.csv",
        encoders=pretrained_encoders,
        code=sources("semcom.finetune", f"semcom.channels.{CONFIG.channel.model}"),
    output:
        rounds=f"{FINETUNE}/rounds.csv",
        ledger=f"{FINETUNE}/ledger.csv",
        provenance=f"{FINETUNE}/provenance.json",
    log:
        f"{RESULTS}/logs/finetune/{{method}}/snr{{snr_db}}/labels{{label_fraction}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/finetune/{{method}}/snr{{snr_db}}/labels{{label_fraction}}/seed{{seed}}.tsv"
    threads: CONFIG.compute.threads
    conda:
        "../../envs/semcom.yaml"
    params:
        job=finetune_job,
    message:
        "Fine-tune {wildcards.method}, {wildcards.snr_db} dB, labels {wildcards.label_fraction}, seed {wildcards.seed}"
    script:
        "../scripts/finetune.py"
