#!/bin/sh
# properties = {properties}
# What a scheduler runs. It leaves the job's exit status for profiles/generic/status, unless it is killed.
cd "${{PBS_O_WORKDIR:-.}}"
(
{exec_job}
)
status=$?
echo $status >"logs/jobs/${{SLURM_JOB_ID:-${{PBS_JOBID:-${{JOB_ID:-none}}}}}}.exit"
exit $status
