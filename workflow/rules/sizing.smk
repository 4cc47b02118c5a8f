# What the experiment takes in full, from a short job a stage and method: predicted before, compared afterwards.
SIZING = f"{RESULTS}/sizing"


rule calibrate:
    """A few steps of a stage, as its runs take them: for how long, and in how much memory."""
    input:
        scenes=ancient(SCENES),
        splits=SPLITS,
        checksums=checksums(SCENES, SPLITS),
        weights=ancient(encoder_weights),
        code=calibrated_code,
    output:
        f"{SIZING}/calibration/{{stage}}/{{method}}.csv",
    log:
        f"{RESULTS}/logs/calibrate/{{stage}}/{{method}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/calibrate/{{stage}}/{{method}}.tsv"
    wildcard_constraints:
        stage="|".join(Stage),
    conda:
        "../../envs/semcom.yaml"
    threads: CONFIG.compute.threads
    params:
        job=calibrated_job,
        weights=weight_contents,
        seed=CONFIG.grid.seeds[0],
    message:
        "Calibrate {wildcards.stage} {wildcards.method}"
    script:
        "../scripts/calibrate.py"


rule predict:
    """Jobs, hours and memory of the whole grid."""
    input:
        paces=sorted({run.fill(f"{SIZING}/calibration/{run.stage}/{{method}}.csv") for run in RUNS}),
        splits=SPLITS,
        checksums=checksums(SPLITS),
        code=sources("semcom.planning.estimate", script="predict.py"),
    output:
        f"{SIZING}/predicted.csv",
    log:
        f"{RESULTS}/logs/predict.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        config=CONFIG.model_dump(),
    message:
        f"Predict what {RESULTS} takes"
    script:
        "../scripts/predict.py"


rule sizing:
    """Print what was predicted."""
    input:
        f"{SIZING}/predicted.csv",
    log:
        f"{RESULTS}/logs/sizing.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    message:
        f"What {RESULTS} takes in full"
    script:
        "../scripts/sizing.py"


rule sizing_compared:
    """Print prediction and measurement of what is finished; with no input it neither trains nor predicts anew."""
    log:
        f"{RESULTS}/logs/sizing_compared.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        predicted=f"{SIZING}/predicted.csv",
        compared=f"{SIZING}/compared.csv",
    message:
        f"What {RESULTS} took, against the prediction"
    script:
        "../scripts/sizing_compared.py"
