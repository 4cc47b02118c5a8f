# Stage II: one run a method, SNR, label fraction and seed.


rule finetune:
    """Train encoders and decoder through the channel, Algorithm 1, second half, and keep the ledger."""
    input:
        scenes=f"{RESULTS}/data/scenes.h5",
        splits=f"{RESULTS}/data/splits.csv",
        weights=encoder_weights,
        encoders=pretrained_encoders,
        trace=channel_trace,
        code=finetune_code,
    output:
        **({"system": f"{FINETUNE}/system.safetensors"} if CONFIG.keep_systems else {}),
        rounds=f"{FINETUNE}/rounds.csv",
        ledger=f"{FINETUNE}/ledger.csv",
        steps=f"{FINETUNE}/steps.csv",
        answers=f"{FINETUNE}/answers.safetensors",
        provenance=f"{FINETUNE}/provenance.json",
    log:
        paths.log(CONFIG.experiment, Stage.FINETUNE),
    benchmark:
        paths.benchmark(CONFIG.experiment, Stage.FINETUNE)
    conda:
        "../../envs/semcom.yaml"
    threads: CONFIG.compute.threads
    params:
        job=finetune_job,
        checkpoint=paths.checkpoint(CONFIG.experiment, Stage.FINETUNE),
    message:
        "Fine-tune {wildcards.method}, {wildcards.snr_db} dB, labels {wildcards.label_fraction}, seed {wildcards.seed}"
    script:
        "../scripts/finetune.py"
