# On one workstation with GPUs: how many training runs there are at once, checked before the first of them starts.
from semcom.runs import environment, local_gpus
from semcom.runs.slurm_preflight import profile_file


def places_on_gpus():
    """What the profile asks for, if it is `local-gpu` or one of its kind.

    Raises:
        SystemExit: a number in it makes no sense.
    """
    asked = workflow.resource_settings.overwrite_resources
    try:
        return local_gpus.places(
            {rule: {name: value.raw for name, value in named.items()} for rule, named in asked.items()},
            profile_file(sys.argv[1:], os.environ.get("SNAKEMAKE_PROFILE")),
            cores=workflow.resource_settings.cores,  # None, for a report or a lint
            threads=CONFIG.compute.threads,
        )
    except InputError as error:
        refuse(error)


def check_gpus():
    """Look whether there are as many GPUs as the profile says.

    Raises:
        SystemExit: there are fewer; a line says so.
    """
    if PLACES is None or CONFIG.compute.device == "cpu":
        return
    if not any(job.resources.get("gpu") for job in workflow.dag.needrun_jobs()):
        return  # no job wants one
    seen = local_gpus.gpus_seen(PYTHON)
    if seen is not None:
        try:
            PLACES.check(seen)
        except InputError as error:
            refuse(error)


PLACES = places_on_gpus() if workflow.is_main_process else None
if PLACES:
    os.environ[environment.RUNS_PER_GPU] = str(PLACES.runs_per_gpu)  # to the jobs, which inherit it
    if "gpu" not in workflow.resource_settings.resources:  # else the command line sets another limit
        workflow.register_resource("gpu", PLACES.at_once)
