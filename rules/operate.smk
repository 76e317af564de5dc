# What a call says before and while it works, and at its end. Hooks run in the process that was called, never in its jobs.
import os
import sys
import time

from operate import costs, progress, summary, whole

watched = {}


def shown(words):
    for line in words:
        logger.info(f"boldmill: {line}")


def begin():
    """Begins to count the jobs that are to be done."""
    told = workflow.output_settings
    jobs = {workflow.dag.jobid(job): job for job in workflow.dag.needrun_jobs() if job.output}
    work = {
        key: progress.Job(job.rule.name, costs.work_of(workflow.dag, job, bytes_streamed(job)))
        for key, job in jobs.items()
    }
    watched["progress"] = progress.watch(logger, work, told.verbose or told.printshellcmds)
    watched["jobs"], watched["begin"] = jobs, time.monotonic()
    streams = {
        key: (bytes_streamed(job), f"{job.log[0]}.streamed") for key, job in jobs.items() if bytes_streamed(job)
    }
    if streams:
        progress.Streams(watched["progress"], streams, logger.info).start()
    if not work:
        return
    wanted, seconds = bytes_to_write(jobs.values()), sum(job.work for job in work.values())
    todo = [(name, of) for name, _, of in watched["progress"].counts()]
    shown([costs.beforehand(todo, wanted, seconds, workflow.resource_settings.cores, config["cache"])])
    if short := costs.too_much(wanted, config["cache"]):
        logger.warning(f"boldmill: {short}")


def bytes_to_write(jobs):
    """What they make, as far as it is more than a little."""
    return sum(costs.made_of(workflow.dag, job) for job in jobs)


def bytes_streamed(job):
    """What the job brings from the bucket."""
    return streamed_bytes(job.wildcards) if "streamed" in job.params.keys() else 0


def ended_well():
    """The jobs of this call that have ended well."""
    return [watched["jobs"][key] for key, job in watched["progress"].jobs.items() if job.ended is not None]


def finish():
    """The summary on the terminal and as JSON."""
    if not (paths := [str(path) for job in ended_well() for path in job.output]):
        return
    missing = [text for texts in DATA.left_out.values() for text in texts]
    streamed = sum(bytes_streamed(job) for job in ended_well())
    took = time.monotonic() - watched["begin"]
    told = summary.summary(os.path.join(BIN, "boldinfo"), paths, took, missing, streamed)
    whole.write(os.path.join(config["cache"], "summary.json"), summary.sealed(told))
    shown(f"{path}: open it in a browser" for path in paths if path.endswith(".html"))
    shown(summary.lines(told))


def guarded(step):
    """What only tells must not end the work."""
    try:
        step()
    except Exception as error:
        logger.warning(f"boldmill: no progress or summary: {type(error).__name__}: {error}")


onstart:
    if not os.path.exists(os.path.join(BIN, "nifti2h5")):
        raise WorkflowError(f"{BIN}: the programs are not there; run make, or correct bin in the configuration")
    guarded(begin)


onsuccess:
    guarded(finish)


def failed():
    """What went wrong, once more and in short, and how far it came."""
    done, jobs = watched["progress"], watched["jobs"]
    left = [job for key, job in jobs.items() if done.jobs[key].ended is None]
    full = costs.too_much(bytes_to_write(left), config["cache"])
    shown(values.first(list(progress.failures(done.failed, full))))
    shown([done.so_far() + "; the same call goes on from here"])


onerror:
    guarded(failed)
