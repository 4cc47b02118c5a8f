# Stage I: one run a method and seed; all SNRs and label fractions start from it.


rule pretrain:
    """Train the encoders of all modalities without labels, Algorithm 1, first half."""
    input:
        scenes=ancient(SCENES),
        splits=SPLITS,
        checksums=checksums(SCENES, SPLITS),
        weights=ancient(encoder_weights),
        code=pretrain_code,
    output:
        encoders=f"{PRETRAIN}/encoders.pt",
        checksum=checksums(f"{PRETRAIN}/encoders.pt"),
        steps=f"{PRETRAIN}/steps.csv",
        provenance=f"{PRETRAIN}/provenance.json",
    log:
        paths.log(CONFIG.experiment, Stage.PRETRAIN),
    benchmark:
        paths.benchmark(CONFIG.experiment, Stage.PRETRAIN)
    priority: 1  # many runs of stage II wait for each of these
    conda:
        "../../envs/semcom.yaml"
    threads: CONFIG.compute.threads
    params:
        job=pretrain_job,
        weights=weight_contents,
        checkpoint=paths.checkpoint(CONFIG.experiment, Stage.PRETRAIN),
        earlier=paths.earlier(CONFIG.experiment),
    message:
        "Pre-train {wildcards.method}, seed {wildcards.seed}"
    script:
        "../scripts/pretrain.py"
