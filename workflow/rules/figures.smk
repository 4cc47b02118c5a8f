# Figures 4 and 5 of the paper, what they cost, stage I, and the contact sheet. Each needs only the runs that it shows.


rule accuracy_figure:
    """Accuracy against communication round, a panel an SNR: figures 4 (all labels) and 5 (half)."""
    input:
        rounds=figure_rounds,
        counts=f"{RESULTS}/data/class_counts.csv",
        code=sources("semcom.figures.accuracy", script="accuracy_figure.py"),
    output:
        f"{FIGURES}/{{figure}}.pdf",
        report(
            f"{FIGURES}/{{figure}}.svg",
            caption="../report/accuracy.rst",
            category="Figures",
            labels=lookup(
                dpath="{figure}",
                within={
                    name: {
                        "item": f"Figure {name[-1]}: accuracy with {spelled_percent(fraction or 0)} % of the labels"
                    }
                    for name, fraction in LABEL_FRACTIONS.items()
                },
            ),
        ),
        f"{FIGURES}/{{figure}}.png",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    wildcard_constraints:
        figure="figure[45]",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        grid=CONFIG.grid.model_dump(),
        label_fraction=figure_label_fraction,
        labels=CONFIG.labels(),
    message:
        "Draw {wildcards.figure}"
    script:
        "../scripts/accuracy_figure.py"


if CONFIG.figures.costs:

    rule cost_figures:
        """Figures 4 and 5 against channel uses, bits or airtime, with stage I free and priced: `figures.costs`."""
        input:
            rounds=figure_rounds,
            overhead=stage_one_overhead(),
            counts=f"{RESULTS}/data/class_counts.csv",
            code=sources("semcom.figures.accuracy", "semcom.analysis.costs", script="cost_figures.py"),
        output:
            expand(f"{FIGURES}/{{{{figure}}}}_{{cost}}.{{suffix}}", cost=CONFIG.figures.costs, suffix=["pdf", "png"]),
            **{
                cost: report(
                    f"{FIGURES}/{{figure}}_{cost}.svg",
                    caption="../report/costs.rst",
                    category="Figures",
                    labels=lookup(dpath="{figure}", within=cost_titles(cost)),
                )
                for cost in CONFIG.figures.costs
            },
        log:
            f"{RESULTS}/logs/{{figure}}_costs.log",
        wildcard_constraints:
            figure="figure[45]",
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            costs=CONFIG.figures.costs,
            ledger=CONFIG.ledger.model_dump(),
            stage_one=STAGE_ONE,
            grid=CONFIG.grid.model_dump(),
            label_fraction=figure_label_fraction,
            labels=CONFIG.labels(),
        message:
            "Draw {wildcards.figure} against its costs"
        script:
            "../scripts/cost_figures.py"


if CONFIG.figures.accuracy_by:

    rule accuracy_by:
        """Accuracy at the end of training against an axis, and the numbers drawn: `figures.accuracy_by`."""
        input:
            rounds=accuracy_by_rounds,
            code=sources("semcom.analysis.accuracy_by", "semcom.figures.accuracy_by", script="accuracy_by.py"),
        output:
            f"{FIGURES}/{{figure}}.pdf",
            report(
                f"{FIGURES}/{{figure}}.svg",
                caption="../report/accuracy_by.rst",
                category="Figures",
                labels=lookup(dpath="{figure}", within={name: {"item": by_title(name)} for name in ACCURACY_BY}),
            ),
            f"{FIGURES}/{{figure}}.png",
            table=f"{TABLES}/{{figure}}.csv",
        log:
            f"{RESULTS}/logs/accuracy_by/{{figure}}.log",
        wildcard_constraints:
            figure="|".join(ACCURACY_BY),
        localrule: True
        conda:
            "../../envs/semcom.yaml"
        params:
            shown=lambda wildcards: ACCURACY_BY[wildcards.figure].model_dump(),
            grid=CONFIG.grid.model_dump(),
            tables=CONFIG.tables.model_dump(),
            labels=CONFIG.labels(),
        message:
            "Draw {wildcards.figure}"
        script:
            "../scripts/accuracy_by.py"


rule pretraining_figure:
    """Loss and gradient norm of stage I against its step."""
    input:
        steps=pretrain_files("steps.csv"),
        code=sources("semcom.figures.training_curves", script="pretraining_figure.py"),
    output:
        f"{FIGURES}/pretraining.pdf",
        report(
            f"{FIGURES}/pretraining.svg",
            caption="../report/pretraining.rst",
            category="Figures",
            labels={"item": "Pre-training: loss and gradient norm"},
        ),
        f"{FIGURES}/pretraining.png",
    log:
        f"{RESULTS}/logs/pretraining_figure.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        methods=list(dict.fromkeys([*CONFIG.grid.methods, *CONFIG.pretrained_methods()])),  # some only lend a stage I
        labels=CONFIG.labels() | {method: CONFIG.label(method) for method in CONFIG.pretrained_methods()},
    message:
        "Draw pretraining"
    script:
        "../scripts/pretraining_figure.py"


rule gradient_figure:
    """Gradient norm of stage II against communication round."""
    input:
        steps=finetune_files("steps.csv"),
        code=sources("semcom.figures.training_curves", script="gradient_figure.py"),
    output:
        f"{FIGURES}/gradients.pdf",
        report(
            f"{FIGURES}/gradients.svg",
            caption="../report/gradients.rst",
            category="Figures",
            labels={"item": "Fine-tuning: gradient norm"},
        ),
        f"{FIGURES}/gradients.png",
    log:
        f"{RESULTS}/logs/gradient_figure.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    params:
        grid=CONFIG.grid.model_dump(),
        labels=CONFIG.labels(),
    message:
        "Draw gradients"
    script:
        "../scripts/gradient_figure.py"


rule contact_sheet:
    """All modalities side by side, per class: what was read."""
    input:
        scenes=ancient(SCENES),
        checksums=checksums(SCENES),
        code=sources("semcom.figures.contact_sheet", script="contact_sheet.py"),
    output:
        f"{FIGURES}/contact_sheet.pdf",
        f"{FIGURES}/contact_sheet.svg",
        report(
            f"{FIGURES}/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="Data",
            labels={"item": "Contact sheet"},
        ),
    log:
        f"{RESULTS}/logs/contact_sheet.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    message:
        "Draw the contact sheet"
    script:
        "../scripts/contact_sheet.py"
