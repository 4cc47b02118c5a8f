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
        code=sources("semcom.rooms.dataset", script="render_rooms.py"),
    output:
        labeled_mat=RENDERED["labeled_mat"],
        splits_mat=RENDERED["splits_mat"],
        checksums=checksums(*RENDERED.values()),
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
        raw=ancient(read_files),  # compared by content: `params.content`, or the checksums
        checksums=checksums(*RENDERED.values()) if CONFIG.data.rooms and not CONFIG.data.files else [],
        code=sources("semcom.data.ingest", f"semcom.data.readers.{CONFIG.data.reader}", script="ingest.py"),
    output:
        scenes=SCENES,
        checksum=checksums(SCENES),
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
        content=raw_contents,
        size=CONFIG.data.image_size,
    message:
        "Ingest with reader {params.reader}"
    script:
        "../scripts/ingest.py"


rule split:
    """Official split, validation rooms, and a check that every class keeps labelled scenes."""
    input:
        scenes=ancient(SCENES),
        checksums=checksums(SCENES),
        code=sources("semcom.data.splits", script="split.py"),
    output:
        splits=SPLITS,
        checksum=checksums(SPLITS),
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
