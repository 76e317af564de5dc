# What the rules ask about the dataset: subjects, sessions, runs and what belongs to them (dataset/dataset.py).


REMOTE = config["remote"]
SAVED = listing.Saved(ROOT, REMOTE["url"], WorkflowError) if REMOTE["url"] else None
FILES = files.Either(files.Disk(), SAVED) if SAVED else files.Disk()
DATA = Dataset(config, FILES, WorkflowError, logger.info, logger.warning)
subjects, sessions, scans = DATA.subjects, DATA.sessions, DATA.scans
task_runs, all_runs = DATA.task_runs, DATA.all_runs
subject_number, repetition_time, sampled = DATA.subject_number, DATA.repetition_time, DATA.sampled
needed, events, categories, selection = DATA.needed, DATA.events, DATA.categories, DATA.selection
unnamed = DATA.unnamed


def place(wildcards):
    """Subject and session of a rule's files, or None for the session where the rule knows none."""
    return wildcards.subject, int(wildcards.session) if "session" in wildcards.keys() else None


def runs_of(wildcards):
    return DATA.runs(*place(wildcards))


def of_runs(name, wildcards):
    return DATA.of_runs(name, *place(wildcards))


def on_disk(paths):
    """The paths; an error where they are still in the bucket."""
    missing = [path for path in paths if SAVED and not os.path.exists(path)]
    if missing:
        more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
        raise WorkflowError(f"{missing[0]}: is in the bucket and not here{more}; {listing.HOW}")
    return paths


def run_files(wildcards):
    return on_disk([run.path for run in runs_of(wildcards)])


def design_files(wildcards):
    return DATA.design_files(*place(wildcards))


def label_files(wildcards):
    return DATA.label_files(*place(wildcards))


def design_rows(wildcards):
    return DATA.design_rows(*place(wildcards))


def cleaning_files(wildcards):
    return on_disk(DATA.cleaning_files(*place(wildcards)))


def mask_file(wildcards):
    return on_disk(DATA.mask_files(wildcards.subject))


def packed_sessions(wildcards):
    folder = SUBJECT.format(subject=wildcards.subject)
    return [f"{folder}/session_{session:02d}.h5" for session in sessions(wildcards.subject)]


def roi_files(wildcards):
    return on_disk(DATA.roi_files(wildcards.subject, wildcards.roi))


def roi_table(wildcards):
    return DATA.roi_table(wildcards.subject, wildcards.roi)


def states_of(*finders):
    """The states of these files, for the params of a rule. Snakemake goes by times alone: it passes over a file in
    whose place an older one was put (mv, rsync -a, cp -p)."""

    def found(wildcards):
        return files.states([path for find in finders for path in values.listed(find(wildcards))])

    return found
