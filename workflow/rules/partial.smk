# Figures and tables of a grid that is not finished.


rule partial:
    """Draw and tabulate what is finished, naming what is missing; with no input it runs nothing else, whatever is missing."""
    log:
        f"{RESULTS}/logs/partial.log",
    localrule: True
    conda:
        "../../envs/semcom.yaml"
    message:
        f"Figures and tables of the runs of {RESULTS} that are finished"
    script:
        "../scripts/partial.py"
