#!/bin/sh
# properties = {properties}
# What a scheduler runs. It leaves the job's exit status for profiles/generic/status, unless it is killed outright.
# A job that is told to end gives its programs two seconds to remove what they have begun: some schedulers kill them
# as soon as the script has ended.
cd "${{PBS_O_WORKDIR:-.}}"
told=
trap 'told=yes' USR1 USR2 TERM
(
{exec_job}
)
status=$?
[ -z "$told" ] || sleep 2
note=logs/jobs/${{SLURM_JOB_ID:-${{PBS_JOBID:-${{JOB_ID:-none}}}}}}.exit
echo $status >"$note.part" && mv "$note.part" "$note"
exit $status
