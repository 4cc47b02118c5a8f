# The checked configuration, and the paths of every run of the grid.
import hashlib
import os
import re
import shlex
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def refuse(fault):
    """End Snakemake with one line, whatever `--quiet` says. To a WorkflowError it would add where this file raised it."""
    print(f"error: {fault}", file=sys.stderr)
    sys.exit(1)


# Snakemake writes the path of its Python into the commands of jobs without the quotes that a space or a bracket wants.
PYTHON = sys.executable
if shlex.quote(PYTHON) != PYTHON:
    sys.executable = shlex.quote(PYTHON)

# Where TMPDIR is missing or full, Python takes another folder; so does what is started from here.
try:
    TEMPORARY = tempfile.gettempdir()
except FileNotFoundError:
    refuse("no folder for temporary files has room; set TMPDIR to one that has")
if os.path.abspath(os.environ.get("TMPDIR", TEMPORARY)) != TEMPORARY:
    os.environ.update(TMPDIR=TEMPORARY)

# The rules run the package of their own checkout, whether or not one is installed. Rules that Snakemake has fetched for
# a module, as from GitHub, have no checkout around them, and run the installed package.
RULES = workflow.current_basedir
CHECKOUT = Path(RULES).parents[1] if isinstance(RULES, os.PathLike) else None
if CHECKOUT:
    if {*"{}"} & {*str(CHECKOUT)}:
        refuse(f"{CHECKOUT}: Snakemake takes braces in the path of a rule for a wildcard; rename the folder")
    SOURCE = str(CHECKOUT / "src")
    sys.path.insert(0, SOURCE)
    inherited = dict(os.environ).get("PYTHONPATH")
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [SOURCE, inherited])))
elif find_spec("semcom") is None:
    refuse(
        "the rules were fetched without the package that they run, and no package 'semcom' is installed; install that "
        "of the same repository and version beside Snakemake: pip install git+<its address>@<version>"
    )

from semcom.config import artefacts, jobs, paths
from semcom.common import plugins
from semcom.common.checksums import checksum_file, sha256_of
from semcom.config.experiment import EVALUATION_PARTS, LINK_OFFERS, marked
from semcom.config.loading import check_given_once, given_file, given_settings, load_config, read_layers
from semcom.common.errors import InputError
from semcom.common.files import check_reachable, check_writable
from semcom.common.spelling import spelled_number, spelled_percent
from semcom.config.stage import Stage
from semcom.planning.lookahead import check_scenes, check_traces
from semcom.runs import environment
from semcom.common.sources import source_files

if config and config is not workflow.modifier_stack[0].globals["config"]:
    refuse("module: `config:` must be `config`; put values of your own into a file, and name it as configfile")

# The file is read here, with those that it extends: Snakemake by itself reads the one that was given, or none.
try:
    environment.check(os.environ)
    if workflow.is_main_process:
        check_given_once(sys.argv[1:])
    FILE = given_file(workflow.overwrite_configfiles or workflow.configfiles)  # the latter: of a workflow around this
    CONFIG = load_config(FILE, settings=given_settings(workflow.config_settings.config_args))
    CONFIG.check_files(os.path.relpath(FILE))
    if CONFIG.given_texts() and workflow.is_main_process:
        from semcom.figures.style import check_texts

        check_texts(CONFIG.given_texts(), os.path.relpath(FILE))
    workflow.configfiles[:] = read_layers(FILE)  # which the report lists
    if workflow.is_main_process:
        check_scenes(CONFIG)
        check_traces(CONFIG)
    if CONFIG.weights() and workflow.is_main_process and find_spec("torch"):  # a job checks its own
        from semcom.models.weights import check_weights

        check_weights(CONFIG)
except InputError as error:
    refuse(error)
config.clear()
config.update(CONFIG.model_dump())  # what a script, or a caption of the report, sees of it


def sources(*modules, script):
    """A rule's script and the source files of modules and of what they import, relative to here.

    They are compared by content: moving or copying a checkout, or going to another commit and back, reruns nothing. For
    this, profiles/default takes the dates of scripts from what Snakemake goes by. Rules that were fetched change with
    their version alone.
    """
    own = [CHECKOUT / "workflow/scripts" / script] if CHECKOUT else []
    return [os.path.relpath(path) for path in [*own, *source_files(*modules)]]


def checksums(*files):
    """The checksums that lie beside derived files. These are compared where the files themselves are too large."""
    return [checksum_file(file) for file in files]


@cache
def content(*files):
    """The SHA-256 of a file of the user's own; of several, that of theirs.

    Raises:
        WorkflowError: a file cannot be read.
    """
    try:
        found = sha256_of(files, say if workflow.is_main_process else None)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()


def say(line):
    """A line on standard error."""
    print(line, file=sys.stderr)


RUNS = paths.runs(CONFIG)
RESULTS = paths.results(CONFIG.experiment)
PRETRAIN = paths.folder(CONFIG.experiment, Stage.PRETRAIN)
FINETUNE = paths.folder(CONFIG.experiment, Stage.FINETUNE)
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"
FOLDERS = [RESULTS, *(f"{RESULTS}/{name}" for name in ("data", *Stage, "tables", "figures", "logs", "checkpoints"))]
if workflow.is_main_process:
    try:
        for folder in FOLDERS:
            check_reachable(folder)  # Snakemake would end with a traceback
        check_writable(".snakemake")
    except InputError as error:
        refuse(error)
SCENES = f"{RESULTS}/data/scenes.h5"
SPLITS = f"{RESULTS}/data/splits.csv"
LABEL_FRACTIONS = artefacts.label_fractions(CONFIG)
ACCURACY_BY = {name: CONFIG.accuracy_by(name) for name in CONFIG.figures.accuracy_by}
READER = plugins.load("semcom.data.readers", CONFIG.data.reader)
RENDERED = {"labeled_mat": f"{RESULTS}/data/rooms_labeled.mat", "splits_mat": f"{RESULTS}/data/rooms_splits.mat"}


def one_of(values):
    """The regular expression of these texts."""
    return "|".join(map(re.escape, dict.fromkeys(values)))


wildcard_constraints:  # a run that is not of the grid has no rule; targets.smk says so
    method=one_of(run.method for run in RUNS),
    seed=one_of(str(run.seed) for run in RUNS),
    snr_db=one_of(map(spelled_number, CONFIG.grid.snr_db)),
    label_fraction=one_of(map(spelled_number, CONFIG.grid.label_fractions)),


def report_source(name):
    """A caption or the style of the report; in a checkout relative to here, so that moving it reruns nothing."""
    if CHECKOUT:
        return os.path.relpath(CHECKOUT / "workflow/report" / name)
    return workflow.source_path(f"../report/{name}")


def finetune_files(name, label_fractions=None, methods=None):
    """A file of every run of stage II in the grid, or of those with the given label fractions or methods."""
    fractions, methods = label_fractions or CONFIG.grid.label_fractions, methods or CONFIG.grid.methods
    runs = [run for run in RUNS if run.stage is Stage.FINETUNE and run.method in methods]
    return [run.fill(f"{FINETUNE}/{name}") for run in runs if run.label_fraction in fractions]


def run_files():
    """All that the runs of the grid leave. Where a file of a finished run is missing, `all` makes the run again."""
    return [
        run.fill(f"{paths.folder(CONFIG.experiment, run.stage)}/{name}") for run in RUNS for name in run.stage.outputs
    ]


def pretrain_files(name):
    """A file of every run of stage I in the grid."""
    return [run.fill(f"{PRETRAIN}/{name}") for run in RUNS if run.stage is Stage.PRETRAIN]


def raw_files():
    """The paths of the raw files and folders by the reader's names: the user's own, rendered, or downloaded."""
    if CONFIG.data.files:
        return CONFIG.data.files
    if CONFIG.data.rooms:
        return RENDERED
    return {name: paths.download(name, remote.sha256) for name, remote in CONFIG.data.download.items()}


def read_files(wildcards):
    """The raw files that ingest reads; of a folder, every file that the reader reads there.

    Raises:
        SystemExit: a folder is not laid out as the reader expects.
    """
    files = raw_files()
    if not any(READER.FILES[name].folder for name in files):
        return list(files.values())
    try:
        found = [str(path) for path in READER.files_read({name: Path(path) for name, path in files.items()})]
    except InputError as error:
        refuse(error)
    if fault := next(filter(None, map(marked, found)), None):
        refuse(f"data.files: {fault}")
    return found


def raw_contents(wildcards):
    """What the raw files must hold, by path: their SHA-256, and of a folder, of all that is read.

    Nothing of the built-in data set, whose files carry their checksum beside them.
    """
    if CONFIG.data.files:
        folders = [path for name, path in CONFIG.data.files.items() if READER.FILES[name].folder]
        if folders:
            return {folders[0]: content(*read_files(wildcards))}
        return {path: content(path) for path in CONFIG.data.files.values()}
    if CONFIG.data.rooms:
        return {}
    return {raw_files()[name]: remote.sha256 for name, remote in CONFIG.data.download.items()}


def weight_contents(wildcards):
    """What the user's own files of weights hold, by path."""
    return {path: content(path) for path in encoder_weights(wildcards)}


def own_contents(wildcards):
    """What the user's own files that a run of stage II reads hold, by path: its weights, and its channel trace."""
    trace = channel_trace(wildcards)
    return weight_contents(wildcards) | ({trace: content(trace)} if trace else {})


def remote_file(wildcards):
    """The name in `data.download` of a file to download. Its addresses are no parameter: a further one fetches nothing.

    Raises:
        SystemExit: the configuration names no such file.
    """
    for name, remote in (CONFIG.data.download or {}).items():
        if paths.download(name, remote.sha256) == f"{paths.DOWNLOADS}/{wildcards.file}":
            return name
    refuse(f"data.download names no file '{wildcards.file}'; see config/config.yaml")


def backbone(wildcards):
    """The module of a method's backbone."""
    return f"semcom.models.backbones.{CONFIG.encoder_settings(wildcards.method).backbone}"


def pretrain_job(wildcards):
    """The settings of stage I that decide this method's result."""
    return jobs.pretrain_job(CONFIG, wildcards.method).model_dump()


def pretrain_code(wildcards):
    """The script and sources of stage I, with the method's own backbone and loss."""
    loss = f"semcom.losses.{jobs.pretrain_job(CONFIG, wildcards.method).loss}"
    modules = "semcom.training.pretrain", "semcom.training.process", backbone(wildcards), loss
    return sources(*modules, script="pretrain.py")


def finetune_job(wildcards):
    """The settings of stage II that decide this cell's result."""
    cell = wildcards.method, float(wildcards.snr_db), float(wildcards.label_fraction)
    return jobs.finetune_job(CONFIG, *cell).model_dump()


def link_modules(method, *kinds):
    """Modules of the blocks that a method's link is composed of, or of some kinds of them."""
    channel = CONFIG.channel_settings(method)
    return [f"semcom.link.{kind}.{getattr(channel, kind).name}" for kind in kinds or LINK_OFFERS]


def finetune_code(wildcards):
    """The script and sources of stage II, with the method's own backbone and the blocks of its link."""
    modules = "semcom.training.finetune", "semcom.models.kept_system", "semcom.training.process", backbone(wildcards)
    return sources(*modules, *link_modules(wildcards.method), script="finetune.py")


def calibrated_job(wildcards):
    """The settings of a stage and method; SNR and label fraction do not change what a step takes."""
    cell = wildcards.method, CONFIG.grid.snr_db[0], max(CONFIG.grid.label_fractions)
    return Stage(wildcards.stage).job(CONFIG, *cell).model_dump()


def calibrated_code(wildcards):
    """The script and sources of a calibration, with the method's own backbone, and its loss or link."""
    own = link_modules(wildcards.method)
    if wildcards.stage == Stage.PRETRAIN:
        own = [f"semcom.losses.{jobs.pretrain_job(CONFIG, wildcards.method).loss}"]
    modules = "semcom.planning.calibration", "semcom.training.process", backbone(wildcards)
    return sources(*modules, *own, script="calibrate.py")


def pretrained_encoders(wildcards):
    """The encoders that a cell starts from; none for a method without a stage I."""
    source = CONFIG.stage_one(wildcards.method)
    return f"{PRETRAIN}/encoders.pt".format(method=source, seed=wildcards.seed) if source else []


def run_checksums(wildcards):
    """The checksums of the derived files that a run of stage II reads."""
    encoders = pretrained_encoders(wildcards)
    return checksums(SCENES, SPLITS, *([encoders] if encoders else []))


def encoder_weights(wildcards):
    """The user's own files of weights that a method starts from."""
    return list(CONFIG.encoder_settings(wildcards.method).weights.values())


def channel_trace(wildcards):
    """The user's own channel trace that a method trains along, if any."""
    return CONFIG.channel_settings(wildcards.method).snr_trace or []


def figure_rounds(wildcards):
    """The runs that an accuracy figure shows.

    Raises:
        SystemExit: the configuration turned this figure off.
    """
    fraction = LABEL_FRACTIONS[wildcards.figure]
    if fraction is None:
        refuse(f"figures.{wildcards.figure}_label_fraction is null; set it to one of grid.label_fractions")
    return finetune_files("rounds.csv", label_fractions=[fraction])


def figure_label_fraction(wildcards):
    """The label fraction that an accuracy figure shows."""
    return LABEL_FRACTIONS[wildcards.figure]


STAGE_ONE = {method: CONFIG.stage_one(method) for method in CONFIG.grid.methods}


def stage_one_overhead():
    """The table of what stage I would cost if the devices were apart; none where no method has a stage I."""
    return f"{TABLES}/pretraining_overhead.csv" if CONFIG.pretrained_methods() else []


def cost_titles(cost):
    """What the report calls the paper's figures against a cost."""
    return {
        name: {
            "item": f"Figure {name[-1]} against {cost.replace('_', ' ')}, with {spelled_percent(fraction or 0)} % of the labels"
        }
        for name, fraction in LABEL_FRACTIONS.items()
    }


def accuracy_by_rounds(wildcards):
    """The runs that a figure of `figures.accuracy_by` shows."""
    return finetune_files("rounds.csv", methods=ACCURACY_BY[wildcards.figure].methods)


def by_title(figure):
    """What the report calls a figure of `figures.accuracy_by`, and its table."""
    shown = ACCURACY_BY[figure]
    return f"{figure}: accuracy at the end of training against {shown.label or shown.x}"
