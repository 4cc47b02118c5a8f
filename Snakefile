# semcom: arXiv 2503.13940 from raw NYU Depth V2 to its figures 4 and 5.
#
#   snakemake --cores 2 all --configfile=config/demo.yaml     the built-in rooms, in minutes
#   snakemake --cores all all                                 the paper in full (config/config.yaml)
#   snakemake --profile slurm-gpu all                         the same on a SLURM cluster (docs/profiles.md)
#   snakemake --cores 2 results/nyud2/figures/figure4.pdf     one figure, and only what it needs
#   snakemake -n                                              what would run, and why
#
# One configuration file is one experiment (config/README.md).
include: "workflow/Snakefile"


workflow.default_target = "all"  # that of an included file is dropped

check_targets()  # last, when all rules are known: those of your own, too
