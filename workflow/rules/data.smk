# Raw files to scenes.h5, its split, and a contact sheet of what was read.


rule download:
    """A raw file by its sha256: one that is there already, else fetched; several addresses, resumed when broken."""
    output:
        f"{paths.DOWNLOADS}/{{file}}",
    log:
        f"{paths.DOWNLOADS}/logs/{{file}}.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        name=remote_file,
    message:
        "Download {wildcards.file}"
    script:
        "../scripts/download.py"


rule render_rooms:
    """Render the built-in data set, in the layout of NYU Depth V2."""
    input:
        code=sources("semcom.rooms.dataset"),
    output:
        labeled_mat=RENDERED["labeled_mat"],
        splits_mat=RENDERED["splits_mat"],
    log:
        f"{RESULTS}/logs/render_rooms.log",
    conda:
        "../../envs/semcom.yaml"
    params:
        rooms=CONFIG.data.rooms.model_dump() if CONFIG.data.rooms else None,
    message:
        "Render the built-in rooms"
    script:
        "../scripts/render_rooms.py"


rule ingest:
    """Read the raw files scene by scene, check them, and write the one format that everything downstream reads."""
    input:
        raw=read_files,
        code=sources("semcom.data.ingest", f"semcom.data.readers.{CONFIG.data.reader}"),
    output:
        scenes=f"{RESULTS}/data/scenes.h5",
        counts=report(
            f"{RESULTS}/data/class_counts.csv",
            caption="../report/class_counts.rst",
            category="Data",
            labels={"item": "Scenes per class (CSV)"},
        ),
    log:
        f"{RESULTS}/logs/ingest.log",
    benchmark:
        f"{RESULTS}/benchmarks/ingest.tsv"
    conda:
        "../../envs/semcom.yaml"
    params:
        reader=CONFIG.data.reader,
        files=raw_files(),
        size=CONFIG.data.image_size,
    message:
        "Ingest with reader {params.reader}"
    script:
        "../scripts/ingest.py"


rule split:
    """Official split, validation rooms, and a check that every class keeps labelled scenes."""
    input:
        scenes=f"{RESULTS}/data/scenes.h5",
        code=sources("semcom.data.splits"),
    output:
        f"{RESULTS}/data/splits.csv",
    log:
        f"{RESULTS}/logs/split.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        validation_fraction=CONFIG.data.validation_fraction,
        validation_seed=CONFIG.data.validation_seed,
        withhold_test=CONFIG.data.withhold_test,
    message:
        "Split the scenes"
    script:
        "../scripts/split.py"
