# On a SLURM cluster: what is looked at before anything is submitted, and what a job's own Snakemake does with signals.
import signal

from snakemake.common.tbdstring import TBDString

from semcom.runs import slurm_preflight
from semcom.runs.signals import SUBMITTED_JOB, slurm_job

if not workflow.is_main_process:
    # The warning before a job's time is up goes to all its processes. This one would die of it and take the training
    # along, which heeds the warning itself: it saves its state and goes back into the queue.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # Snakemake's executor begins a job that it has submitted so. Only such a job may be requeued: a run within the user's
    # own allocation would take that back into the queue.
    if "slurm-jobstep" in sys.argv and slurm_job():
        os.environ[SUBMITTED_JOB] = slurm_job()


def slurm_request(job):
    """What a job will ask of SLURM."""
    said = {name: job.resources.get(name) for name in slurm_preflight.Request.__dataclass_fields__}
    known = {name: value for name, value in said.items() if value and not isinstance(value, TBDString)}
    return slurm_preflight.Request(**{"cpus_per_task": job.threads} | known)


def check_slurm_requests():
    """Look at all that is about to be submitted, and for jobs that an earlier Snakemake has left.

    Raises:
        SystemExit: SLURM is not there, or would refuse a job; a line says so.
    """
    requests = {}
    for job in workflow.dag.needrun_jobs():
        if not job.is_local:
            requests.setdefault(slurm_request(job), set()).add(job.rule.name)
    if not requests:
        return
    try:
        slurm_preflight.check(requests, slurm_preflight.profile_file(sys.argv[1:], os.environ.get("SNAKEMAKE_PROFILE")))
    except InputError as error:
        refuse(error)
    if left := slurm_preflight.jobs_of(Path.cwd()):
        logger.warning(
            f"SLURM jobs of an earlier run in this folder are still alive: {' '.join(left)}. A run that one of them "
            f"works on waits for it and keeps its results. To end them: scancel {' '.join(left)}"
        )
