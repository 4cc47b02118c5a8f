# Stage I: one run a method and seed; all SNRs and label fractions start from it.


rule pretrain:
    """Train the encoders of all modalities without labels, Algorithm 1, first half."""
    input:
        scenes=f"{RESULTS}/data/scenes.h5",
        splits=f"{RESULTS}/data/splits.csv",
        weights=list(CONFIG.encoder.weights.values()),
        code=pretrain_code,
    output:
        encoders=f"{PRETRAIN}/encoders.pt",
        steps=f"{PRETRAIN}/steps.csv",
        provenance=f"{PRETRAIN}/provenance.json",
    log:
        f"{RESULTS}/logs/pretrain/{{method}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pretrain/{{method}}/seed{{seed}}.tsv"
    conda:
        "../../envs/semcom.yaml"
    threads: CONFIG.compute.threads
    priority: 1  # many runs of stage II wait for each of these
    params:
        job=pretrain_job,
        checkpoint=f"{RESULTS}/checkpoints/pretrain/{{method}}/seed{{seed}}.pt",
    message:
        "Pre-train {wildcards.method}, seed {wildcards.seed}"
    script:
        "../scripts/pretrain.py"
