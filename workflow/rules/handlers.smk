# As the workflow starts, succeeds or fails. Snakemake keeps one handler of each kind, the last that it reads: these.
import json
import threading

from snakemake.io import IOFile
from snakemake.persistence import MetadataRecord
from snakemake.settings.enums import Quietness

from semcom.common.checksums import check_derived
from semcom.planning.overall import Overall, told
from semcom.runs.alone import clear_locks
from semcom.runs.earlier import EarlierResults
from semcom.runs.failures import failure, stamps
from semcom.runs.record import check_results, clear_finished

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


def check_checksums():
    """Whether the derived files that jobs are about to read hold what was written.

    Raises:
        SystemExit: one does not; the log says so.
    """
    needed = list(workflow.dag.needrun_jobs())
    made = {path for job in needed for path in job.output}
    read = sorted({path for job in needed for path in job.input} - made)
    try:
        check_derived(read)
        check_results(read)
    except InputError as error:
        logger.error(str(error))
        sys.exit(1)


def read_record(path):
    """What Snakemake has recorded of an output, as JSON; None where it has nothing."""
    record = workflow.persistence.metadata(IOFile(path))
    return record and json.dumps(record.model_dump())


def write_record(path, record):
    """Put an earlier record in the place of the present one."""
    workflow.persistence.cleanup_metadata(IOFile(path))
    if record is not None:
        workflow.persistence._write_record(path, MetadataRecord(**json.loads(record)))


EARLIER = EarlierResults(paths.earlier(CONFIG.experiment), read_record, write_record)


def set_aside_earlier_results():
    """Keep what is to be made anew; but for what a killed run left, of which Snakemake would not know it to be whole."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not workflow.async_run(workflow.persistence.incomplete(job))]
    reasons = {job: workflow.dag.reason(job) for job in jobs}
    try:
        EARLIER.set_aside(
            (job.output, not (reason.forced or reason.software_stack_changed)) for job, reason in reasons.items()
        )
    except (InputError, OSError) as error:
        logger.warning(f"earlier results are not kept should a job fail ({error})")


def end():
    """What is left to do when no job runs any more."""
    OVER.set()
    if restored := EARLIER.settle():
        say(f"as before: {len(restored)} files that failed jobs would have replaced, such as {restored[0]}")
    clear_finished(f"{RESULTS}/checkpoints", RESULTS)
    clear_locks([RESULTS, paths.DOWNLOADS])


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
    check_checksums()
    set_aside_earlier_results()
    EARLIER_LOGS.update(stamps(log for job in workflow.dag.needrun_jobs() for log in job.log))
    if Quietness.ALL not in (workflow.output_settings.quiet or ()):
        tell_how_far_all_is()


onsuccess:
    end()


onerror:
    tell_failures()
    end()
