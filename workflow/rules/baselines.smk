# Other ways to the server over the same link, beside the features of trained links: `baselines:` of the configuration.


if CONFIG.baselines:

    rule baselines_of_seed:
        """What each scheme and each method's features answer over the same links, and what the schemes send in training."""
        input:
            scenes=ancient(SCENES),
            splits=SPLITS,
            checksums=checksums(SCENES, SPLITS),
            systems=ancient(baseline_systems),
            provenance=baseline_provenance,  # has the systems' checksums
            code=baseline_code,
        output:
            answers=f"{ANSWERED}/answers.csv",
            training=f"{ANSWERED}/training.csv",
        log:
            f"{RESULTS}/logs/baselines/{{study}}/seed{{seed}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/baselines/{{study}}/seed{{seed}}.tsv"
        wildcard_constraints:
            study="|".join(CONFIG.baselines),
        conda:
            "../../envs/semcom.yaml"
        threads: CONFIG.compute.threads
        params:
            job=baseline_job,
        message:
            "Baselines {wildcards.study}, seed {wildcards.seed}"
        script:
            "../scripts/baselines_of_seed.py"

    rule baselines:
        """A study of baselines as tables, with its verdict, and as a figure."""
        input:
            answers=baseline_parts("answers"),
            training=baseline_parts("training"),
            rounds=baseline_rounds,
            steps=baseline_steps,
            counts=f"{RESULTS}/data/class_counts.csv",
            code=lambda wildcards: sources(
                "semcom.analysis.baselines",
                "semcom.figures.baselines",
                "semcom.link.pretraining_overhead",
                *(
                    f"semcom.losses.{CONFIG.method(source).loss}"
                    for source in baseline_stage_one(wildcards.study).values()
                ),
                script="baselines.py",
            ),
        output:
            f"{FIGURES}/{{study}}.pdf",
            report(
                f"{FIGURES}/{{study}}.svg",
                caption="../report/baselines.rst",
                category="Figures",
                labels=lookup(
                    dpath="{study}",
                    within={name: {"item": f"{name}: other ways to the server"} for name in CONFIG.baselines},
                ),
            ),
            f"{FIGURES}/{{study}}.png",
            table=f"{TABLES}/{{study}}.csv",
            training=f"{TABLES}/{{study}}_training.csv",
            verdict=f"{TABLES}/{{study}}_verdict.csv",
        log:
            f"{RESULTS}/logs/baselines/{{study}}.log",
        wildcard_constraints:
            study="|".join(CONFIG.baselines),
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            senders=lambda wildcards: baseline_senders(wildcards.study),
            methods=lambda wildcards: CONFIG.baselines[wildcards.study].methods,
            lines=lambda wildcards: baseline_lines(wildcards.study),
            labels=lambda wildcards: baseline_labels(wildcards.study),
            stage_one=lambda wildcards: baseline_stage_one(wildcards.study),
            jobs=lambda wildcards: {
                source: jobs.pretrain_job(CONFIG, source).model_dump()
                for source in baseline_stage_one(wildcards.study).values()
            },
            modulations=lambda wildcards: {
                source: CONFIG.channel_settings(source).model_dump()["modulation"]
                for source in baseline_stage_one(wildcards.study).values()
            },
            bits_per_value=CONFIG.ledger.bits_per_value,
            devices=len(CONFIG.modalities),
        message:
            "Draw baselines {wildcards.study}"
        script:
            "../scripts/baselines.py"
