# Stage II: one run a method, SNR, label fraction and seed.


rule finetune:
    """Train encoders and decoder through the channel, Algorithm 1, second half, and keep the ledger."""
    input:
        scenes=ancient(SCENES),
        splits=SPLITS,
        encoders=ancient(pretrained_encoders),
        checksums=run_checksums,
        weights=ancient(encoder_weights),
        trace=ancient(channel_trace),
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
        contents=own_contents,
        checkpoint=paths.checkpoint(CONFIG.experiment, Stage.FINETUNE),
        earlier=paths.earlier(CONFIG.experiment),
    message:
        "Fine-tune {wildcards.method}, {wildcards.snr_db} dB, labels {wildcards.label_fraction}, seed {wildcards.seed}"
    script:
        "../scripts/finetune.py"
