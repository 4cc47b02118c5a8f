# As the workflow starts, succeeds or fails. Snakemake keeps one handler of each kind, the last that it reads: these.
import threading

from snakemake.settings.enums import Quietness

from semcom.planning.overall import Overall, told
from semcom.runs.alone import clear_locks
from semcom.runs.failures import failure, stamps
from semcom.runs.record import clear_finished

OVER = threading.Event()  # set when no job is left
EARLIER_LOGS = {}


def training_run(job):
    """The run of the grid that a job is; None for a job that trains nothing."""
    if job.rule.name not in list(Stage):
        return None
    cell = {name: float(job.wildcards[name]) for name in ("snr_db", "label_fraction") if name in job.wildcards.keys()}
    return paths.Run(Stage(job.rule.name), job.wildcards.method, int(job.wildcards.seed), **cell)


def tell_how_far_all_is():
    """One line now and then on all runs that this call is to make."""
    by_run = {training_run(job): job for job in workflow.dag.needrun_jobs()}
    by_run.pop(None, None)
    told(Overall(CONFIG, by_run, lambda run: workflow.dag.finished(by_run[run])), OVER)


def tell_failures():
    """A line for each job that failed, whatever `--quiet` says."""
    for group in workflow.scheduler.failed:
        for job in group.jobs if group.is_group() else [group]:
            print(failure(job.rule.name, job.wildcards_dict, job.log, EARLIER_LOGS), file=sys.stderr)


def end():
    """What is left to do when no job runs any more."""
    OVER.set()
    clear_finished(f"{RESULTS}/checkpoints", RESULTS)
    clear_locks([RESULTS, DOWNLOADS])


onstart:
    try:
        for folder in FOLDERS:
            check_writable(folder)
    except InputError as error:
        refuse(error)
    if workflow.executor_plugin.name == "slurm":
        check_slurm_requests()
    elif workflow.executor_plugin.name == "local":
        check_gpus()
    EARLIER_LOGS.update(stamps(log for job in workflow.dag.needrun_jobs() for log in job.log))
    if Quietness.ALL not in (workflow.output_settings.quiet or ()):
        tell_how_far_all_is()


onsuccess:
    end()


onerror:
    tell_failures()
    end()
