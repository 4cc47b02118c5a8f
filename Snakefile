# semcom: arXiv 2503.13940 from raw NYU Depth V2 to its figures 4 and 5.
#
#   snakemake --cores 2 all --configfile=config/demo.yaml     the built-in rooms, in minutes
#   snakemake --cores all all                                 the paper in full (config/config.yaml)
#   snakemake --profile slurm-gpu all                         the same on a SLURM cluster (workflow/profiles/README.md)
#   snakemake --cores 2 results/nyud2/figures/figure4.pdf     one figure, and only what it needs
#   snakemake -n                                              what would run, and why
#
# One configuration file is one experiment (config/README.md).
from snakemake.utils import min_version

min_version("9.19")


include: "workflow/rules/common.smk"
include: "workflow/rules/local_gpu.smk"
include: "workflow/rules/slurm.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/partial.smk"
include: "workflow/rules/sizing.smk"
include: "workflow/rules/handlers.smk"


rule all:
    default_target: True
    input:
        ARTEFACTS,
        REPORT,
    localrule: True


rule report:
    input:
        REPORT,
    localrule: True
