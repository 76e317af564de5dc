# What the rules ask about the dataset: subjects, sessions, runs and what belongs to them.


CONSTANTS = {
    **{name: None if label is None else str(label) for name, label in config["layout"]["entities"].items()},
    "derivatives": config["layout"]["derivatives"],
}


@cache
def patterns_of(name, subject=None):
    """The patterns of a key of the layout with the root in front."""
    labels = {"subject": subject} if subject else {}
    texts = settings.listed(config["layout"][name])
    return tuple(
        checked(lambda: patterns.Pattern.parse(text).fill(**CONSTANTS, **labels).under(ROOT)) for text in texts
    )


PATTERNS = ("runs", "designs", "confounds", "sample_masks", "sidecars", "mask", "rois", "stats", "tables")
if not config["layout"]["runs"]:
    raise WorkflowError("config: layout: runs is not given; name a preset, or say where the runs are")
if wrong := layout.unknown_entities(
    config["layout"]["entities"],
    [checked(patterns.Pattern.parse, text) for name in PATTERNS for text in settings.listed(config["layout"][name])],
    config["rois"],
):
    raise WorkflowError("config: " + "\n".join(wrong))


@cache
def find(name, subject):
    """(patterns, files) of the subject's runs, designs or whatever else, or None where this layout has none."""
    wanted = patterns_of(name, subject)
    return (wanted, [file for pattern in wanted for file in pattern.find()]) if wanted else None


@cache
def every_run():
    """The runs of all subjects."""
    described()
    return [file for pattern in patterns_of("runs") for file in pattern.find()]


@cache
def described():
    """What the dataset says about itself, after the checks that BIDS allows; None where it is not BIDS."""
    standard = config["layout"]["standard"]
    folder = os.path.join(ROOT, config["layout"]["derivatives"] or "") if standard == "derivative" else ROOT
    return checked(bids.description, folder, standard) if standard else None


@cache
def subjects():
    found = sorted({file.labels["subject"] for file in every_run()})
    if not found:
        raise WorkflowError(f"{patterns_of('runs')[0]}: no run is there; correct root or layout (now root: {ROOT})")
    return settings.labels_wanted(config["subjects"], found)


@cache
def scans(subject):
    """The subject's runs as files; in all but session and run they have the same entities."""
    described()
    wanted, files = find("runs", subject)
    if not files:
        raise WorkflowError(f"{wanted[0]}: no run of subject {subject} is there; correct root, layout or the subject")
    if problems := layout.entity_problems(files):
        raise WorkflowError("\n".join(problems))
    return files


@cache
def numbering(kind):
    """{label: number} of all subjects or sessions of the dataset, some of which are no numbers."""
    labels = {file.labels.get(kind) for file in every_run()}
    numbers = checked(layout.numbers_of, labels, config["layout"]["numbers"][kind])
    texts = ", ".join(f"{label} is {numbers[label]}" for label in layout.named(labels))
    if texts:
        logger.info(f"{kind}s with names are given numbers: {texts} (layout: numbers gives others)")
    return numbers


def numbers_of(kind, labels):
    """{label: number} of some labels; those that are no numbers are numbered throughout the dataset."""
    given = config["layout"]["numbers"][kind]
    return numbering(kind) if layout.named(labels) or labels & set(given) else checked(layout.numbers_of, labels)


@cache
def session_numbers(subject):
    return numbers_of("session", {file.labels.get("session") for file in scans(subject)})


def subject_number(subject):
    return numbers_of("subject", {subject})[subject]


def complain(problems):
    """Ends the workflow, or warns where the configuration allows that something is missing."""
    if problems and not config["allow_missing"]:
        raise WorkflowError("\n".join(problems))
    for problem in problems:
        logger.warning(f"left out: {problem}")


@cache
def chosen(key, subject=None):
    """The numbers that `sessions` or `runs` names, or None for all."""
    known = session_numbers(subject) if subject else {}
    return checked(settings.chosen, key, config[key], {label: n for label, n in known.items() if label})


@cache
def sessions(subject):
    """Numbers of the sessions in the subject's arrays."""
    numbers, wanted = session_numbers(subject), chosen("sessions", subject)
    labels = {file.labels.get("session") for file in scans(subject)}
    found = sorted({numbers[label] for label in labels})
    plain = [numbers[label] for label in labels if label not in layout.named(labels)]
    complain(layout.session_gaps(scans(subject)[0].pattern, found if wanted else plain, wanted))
    return [number for number in wanted or found if number in found]


def of_session(files, subject, session):
    """The files of a session, and those that are for all."""
    numbers = session_numbers(subject)
    return [file for file in files if layout.is_of_session(file.labels.get("session"), session, numbers)]


@cache
def companions(name, subject, session):
    """(patterns, files) of the session's designs, confounds, ..., or None where this layout has none."""
    found = find(name, subject)
    return found and (found[0], of_session(found[1], subject, session))


@cache
def designs(subject, session):
    """As `companions`, with the numbers of the runs where designs are numbered in a way of their own."""
    found = companions("designs", subject, session)
    runs = chosen_list(config["layout"]["design_runs"])
    return (found[0], checked(layout.in_order, found[1], runs)) if found and runs else found


def chosen_list(spec):
    return checked(settings.numbers, "layout: design_runs", spec) if spec else None


@cache
def task_runs(subject, session):
    """The session's runs that present something."""
    files = [file for file in scans(subject) if session_numbers(subject)[file.labels.get("session")] == session]
    runs, problems = checked(layout.session_runs, files, designs(subject, session), session, chosen("runs"))
    complain(problems)
    rest = [run.number for run in runs if run.design and layout.design_length(run.design.path)[1]]
    surprise = layout.rest_surprise(len(runs), rest, config["layout"]["expect_rest"])
    if surprise and not chosen("runs"):
        logger.warning(f"subject {subject}, session {session}: {surprise}")
    if len(rest) == len(runs):
        raise WorkflowError(
            f"subject {subject}, session {session}: no task run is there; correct the layout, or leave it out"
        )
    return [run for run in runs if run.number not in rest]


def all_runs(subject):
    return [run for session in sessions(subject) for run in task_runs(subject, session)]


def runs_of(wildcards):
    """The task runs of the session, or where the rule knows no session, of all."""
    if "session" in wildcards.keys():
        return task_runs(wildcards.subject, int(wildcards.session))
    return all_runs(wildcards.subject)


# Files that belong to runs


WHAT = {"confounds": "the table of confounds", "sample_masks": "the sample mask", "mask": "the brain mask"}


@cache
def of_run(name, subject, run_path, session):
    run = next(run for run in task_runs(subject, session) if run.path == run_path)
    wanted, files = companions(name, subject, session)
    return checked(layout.companion, files, run, WHAT[name], wanted)


def of_runs(name, wildcards):
    """One file of the kind for each run."""
    return [of_run(name, wildcards.subject, run.path, run.session) for run in runs_of(wildcards)]


def run_files(wildcards):
    return [run.path for run in runs_of(wildcards)]


def design_files(wildcards):
    return [run.design.path for run in runs_of(wildcards) if run.design]


def events(designs):
    """Whether there are tables of events among the designs."""
    return any(layout.design_length(design)[0] is None for design in designs)


def label_files(wildcards):
    """The designs that the labels depend on: of events whose categories are not named, all of the subject's."""
    designs = design_files(wildcards)
    if config["labels"]["categories"] is None and events(designs):
        return [run.design.path for run in all_runs(wildcards.subject)]
    return designs


def design_rows(wildcards):
    return [layout.design_length(design)[0] for design in design_files(wildcards)]


def cleaning_files(wildcards):
    """Tables of confounds and sample masks, as far as the cleaning needs them."""
    names = [name for name in ("confounds", "sample_masks") if needed(name)]
    return [file.path for name in names for file in of_runs(name, wildcards)]


def needed(name):
    """Whether confounds or sample masks are to be used; a wish without a pattern is an error."""
    if name == "sample_masks":
        return bool(config["layout"]["sample_masks"])
    wanted = stages.wants_confounds(config["clean"])
    if wanted and not config["layout"]["confounds"]:
        raise WorkflowError("config: clean asks for confounds; give layout: confounds, or a preset that has it")
    return wanted


@cache
def mask_files(subject):
    """The brain masks of a subject, which make one together; none where all that is ever other than zero is kept."""
    if not (wanted := patterns_of("mask", subject)):
        return []
    if not any(pattern.holes for pattern in wanted):
        return [str(wanted[0])]
    found = [of_run("mask", subject, run.path, run.session) for run in all_runs(subject)]
    return sorted({file.path for file in found})


def mask_file(wildcards):
    return mask_files(wildcards.subject)


# Time


@cache
def sidecars(subject):
    """{run: its sidecars, the nearest first}; empty where the layout knows none."""
    if not config["layout"]["sidecars"]:
        return {}
    return {
        run.path: [
            file.path for file in layout.companions(companions("sidecars", subject, run.session)[1], run.labels)
        ]
        for run in all_runs(subject)
    }


@cache
def repetition_time(subject):
    """Seconds from volume to volume as the configuration or the sidecars have it; None leaves it to the headers."""
    if config["pack"]["tr"] is not None:
        return config["pack"]["tr"]
    times = {path: checked(bids.repetition_time, files) for path, files in sidecars(subject).items()}
    return checked(bids.agreed, times, "RepetitionTime", "pack: tr")


@cache
def sampled(subject):
    """Where in its TR a volume was sampled: as the configuration says, or the sidecars, or what fMRIPrep does."""
    if config["labels"]["sampled"] is not None:
        return config["labels"]["sampled"]
    tr = config["pack"]["tr"]
    said = {path: checked(bids.sampled, files, tr) for path, files in sidecars(subject).items()}
    fraction = checked(bids.agreed, said, "StartTime", "labels: sampled")
    if fraction is None and described() and bids.by_fmriprep(described()):
        logger.info(
            f"subject {subject}: volumes of fMRIPrep count as sampled in the middle of their TR (labels: sampled)"
        )
        return bids.FMRIPREP_SAMPLED
    return fraction or 0


def packed_sessions(wildcards):
    folder = SUBJECT.format(subject=wildcards.subject)
    return [f"{folder}/session_{session:02d}.h5" for session in sessions(wildcards.subject)]


# Regions of interest


@cache
def entities(subject):
    """What the patterns of volumes are filled with: the entities of the subject's runs."""
    values = {name: labels.copy().pop() for name, labels in layout.entity_values(scans(subject)).items()}
    return {**CONSTANTS, **values, "subject": subject}


@cache
def selection(subject, roi):
    """What an entry of rois selects; an ROI that is not listed is a volume of that name."""

    def volumes_at(name):
        return tuple(checked(pattern.fill, **entities(subject)) for pattern in patterns_of(name, subject))

    masks = mask_files(subject) if rois.uses_mask(roi, config["rois"]) else []
    volumes = rois.Volumes(
        root=ROOT,
        rois=volumes_at("rois"),
        stats=volumes_at("stats"),
        tables=volumes_at("tables"),
        masks=tuple(masks),
        entries=config["rois"],
        labels=entities(subject),
    )
    return checked(rois.selection, roi, volumes)


def roi_files(wildcards):
    return rois.files(selection(wildcards.subject, wildcards.roi))


def roi_table(wildcards):
    return checked(rois.table_of, selection(wildcards.subject, wildcards.roi)) or []
