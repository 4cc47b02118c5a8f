# The checked configuration, and the paths of every run of the grid.
import os
import sys
from pathlib import Path

# The rules run the package of this checkout, whether or not one is installed.
SOURCE = str(Path(workflow.basedir) / "src")
sys.path.insert(0, SOURCE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))

from snakemake.exceptions import WorkflowError

from semcom.config import parse_config
from semcom.errors import InputError
from semcom.sources import source_files

try:
    CONFIG = parse_config(config, " + ".join(map(str, dict.fromkeys(workflow.configfiles))))
    CONFIG.check_files()
except InputError as error:
    raise WorkflowError(str(error)) from None



def sources(*modules):
    """Source files of modules and of what they import, relative to here: moving a checkout reruns nothing."""
    return [os.path.relpath(path) for path in source_files(*modules)]


RESULTS = f"results/{CONFIG.experiment}"
PRETRAIN = RESULTS + "/pretrain/{method}/seed{seed}"
FINETUNE = RESULTS + "/finetune/{method}/snr{snr_db}/labels{label_fraction}/seed{seed}"


wildcard_constraints:
    method=r"[^/]+",
    seed=r"\d+",
    snr_db=r"-?\d+(\.\d+)?",
    label_fraction=r"\d+(\.\d+)?",


def pretrained_methods():
    """Methods of the grid that have a stage I."""
    return [method for method in CONFIG.grid.methods if CONFIG.method(method).loss]


def finetune_files(name, label_fractions=None):
    """A file of every run of stage II in the grid, or of those with the given label fractions."""
    return expand(
        f"{FINETUNE}/{name}",
        method=CONFIG.grid.methods,
        snr_db=[f"{value:g}" for value in CONFIG.grid.snr_db],
        label_fraction=[f"{value:g}" for value in label_fractions or CONFIG.grid.label_fractions],
        seed=CONFIG.grid.seeds,
    )


def pretrain_files(name):
    """A file of every run of stage I in the grid."""
    return expand(f"{PRETRAIN}/{name}", method=pretrained_methods(), seed=CONFIG.grid.seeds)
