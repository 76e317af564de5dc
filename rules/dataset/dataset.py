"""What a configuration means for a dataset: subjects, sessions, runs, and the files that belong to them.

One class, without Snakemake, so that the workflow asks it about the files on the disk and the download about those in
a bucket. Which files there are it learns from a `files` object (files.py).
"""

import os
import re
from functools import wraps

from configuration import stages, values
from dataset import bids, layout, patterns, rois

PATTERNS = ("runs", "designs", "confounds", "sample_masks", "sidecars", "mask", "rois", "stats", "tables")
WHAT = {"confounds": "the table of confounds", "sample_masks": "the sample mask", "mask": "the brain mask"}


def remembered(method):
    """A method that is asked once for each of its arguments."""

    @wraps(method)
    def ask(self, *key):
        answers = self.answers.setdefault(method.__name__, {})
        if key not in answers:
            answers[key] = method(self, *key)
        return answers[key]

    return ask


class Dataset:
    """Methods remember their answers. What is wrong is raised as `wrong`, an exception that takes a sentence; `note`
    and `warn` take sentences that change nothing."""

    def __init__(self, config, files, wrong, note, warn):
        self.config, self.layout, self.files = config, config["layout"], files
        self.wrong, self.note, self.warn = wrong, note, warn
        self.answers = {}
        self.left_out = {}  # {subject: sentences on what is missing}, where the configuration allows that
        self.root = self.checked(layout.plain_root, config["root"])
        self.constants = {
            **{name: None if label is None else str(label) for name, label in self.layout["entities"].items()},
            "derivatives": self.layout["derivatives"],
        }
        self.check_layout()

    def checked(self, function, *args, **named):
        """What the function gives for these settings; its ValueError is the user's to mend."""
        try:
            return function(*args, **named)
        except ValueError as error:
            raise self.wrong(f"config: {error}") from None

    def check_layout(self):
        if not self.layout["runs"]:
            raise self.wrong("config: layout: runs is not given; name a preset, or say where the runs are")
        parsed = [
            self.checked(patterns.Pattern.parse, text)
            for name in PATTERNS
            for text in values.listed(self.layout[name])
        ]
        if wrong := layout.unknown_entities(self.layout["entities"], parsed, self.config["rois"]):
            raise self.wrong("config: " + "\n".join(wrong))
        if self.config["labels"]["ids"] == "numbers" and self.config["labels"]["categories"] is not None:
            raise self.wrong("config: labels: ids that are numbers have no categories; leave one of them out")

    # What is there

    @remembered
    def patterns_of(self, name, subject=None):
        """The patterns of a key of the layout with the root in front."""
        return self.patterns_in(tuple(values.listed(self.layout[name])), subject)

    @remembered
    def patterns_in(self, texts, subject=None):
        labels = {"subject": subject} if subject else {}
        return tuple(
            self.checked(lambda t: patterns.Pattern.parse(t).fill(**self.constants, **labels).under(self.root), text)
            for text in texts
        )

    @remembered
    def find(self, name, subject):
        """(patterns, files) of the subject's runs, designs or whatever else, or None where this layout has none."""
        wanted = self.patterns_of(name, subject)
        return (wanted, [file for pattern in wanted for file in pattern.find(self.files)]) if wanted else None

    @remembered
    def every_run(self):
        """The runs of all subjects."""
        self.described()
        return [file for pattern in self.patterns_of("runs") for file in pattern.find(self.files)]

    @remembered
    def described(self):
        """What the dataset says about itself, after the checks that BIDS allows; None where it is not BIDS."""
        standard = self.layout["standard"]
        return self.checked(bids.description, self.description_folder(), standard, self.files) if standard else None

    def description_folder(self):
        derived = self.layout["standard"] == "derivative"
        return os.path.join(self.root, self.layout["derivatives"] or "") if derived else self.root

    @remembered
    def subjects(self):
        found = self.subjects_there()
        if not found:
            here = f"(now root: {self.root})"
            raise self.wrong(
                f"{self.patterns_of('runs')[0]}: no run is there; correct root or layout {here}{self.hint()}"
            )
        wanted = values.labels_wanted(self.config["subjects"], found)
        for label in wanted:
            if not re.fullmatch(patterns.LABELS["subject"], label):
                said = "a subject's label has letters and digits alone"
                raise self.wrong(f'config: subjects: "{label}": {said}; there are runs of {values.some(found)}')
        return wanted

    @remembered
    def subjects_there(self):
        return sorted({file.labels["subject"] for file in self.every_run()})

    def hint(self):
        """What may be the cause where there is no run at all."""
        described = os.path.join(self.root, "dataset_description.json")
        if not self.layout["standard"] and self.files.exists(described):
            return "; it looks like BIDS, for which there is layout: {preset: bids}"
        return ""

    @remembered
    def scans(self, subject):
        """The subject's runs as files; in all but session and run they have the same entities."""
        self.described()
        wanted, files = self.find("runs", subject)
        if not files:
            there = f" (there are runs of {values.some(known)})" if (known := self.subjects_there()) else ""
            what = f"no run of subject {subject} is there{there}"
            raise self.wrong(f"{wanted[0]}: {what}; correct root, layout or the subject{self.hint()}")
        if problems := layout.entity_problems(files):
            raise self.wrong("\n".join(problems))
        return files

    # Numbers

    @remembered
    def numbering(self, kind):
        """{label: number} of all subjects or sessions of the dataset, some of which are no numbers."""
        labels = {file.labels.get(kind) for file in self.every_run()}
        numbers = self.checked(layout.numbers_of, labels, self.layout["numbers"][kind])
        texts = ", ".join(f"{label} is {numbers[label]}" for label in layout.named(labels))
        if texts:
            self.note(f"{kind}s with names are given numbers: {texts} (layout: numbers gives others)")
        return numbers

    def numbers_of(self, kind, labels):
        """{label: number} of some labels; those that are no numbers are numbered throughout the dataset."""
        given = self.layout["numbers"][kind]
        if layout.named(labels) or labels & set(given):
            return self.numbering(kind)
        return self.checked(layout.numbers_of, labels)

    @remembered
    def session_numbers(self, subject):
        return self.numbers_of("session", {file.labels.get("session") for file in self.scans(subject)})

    def subject_number(self, subject):
        return self.numbers_of("subject", {subject})[subject]

    def complain(self, problems, subject):
        """Ends with an error, or warns where the configuration allows that something is missing."""
        if problems and not self.config["allow_missing"]:
            raise self.wrong("\n".join(values.first(problems)))
        told = [problem.rpartition("; ")[0] or problem for problem in problems]  # without what to do: it was done
        self.left_out.setdefault(subject, []).extend(told)
        for problem in told:
            self.warn(f"left out: {problem}")

    @remembered
    def chosen(self, key, subject=None):
        """The numbers that `sessions` or `runs` names, or None for all."""
        known = self.session_numbers(subject) if subject else {}
        labels = {label: n for label, n in known.items() if label}
        return self.checked(values.chosen, key, self.config[key], labels)

    @remembered
    def sessions(self, subject):
        """Numbers of the sessions in the subject's arrays."""
        numbers, wanted = self.session_numbers(subject), self.chosen("sessions", subject)
        labels = {file.labels.get("session") for file in self.scans(subject)}
        found = sorted({numbers[label] for label in labels})
        plain = [numbers[label] for label in labels if label not in layout.named(labels)]
        pattern = self.scans(subject)[0].pattern
        self.complain(layout.session_gaps(pattern, found if wanted else plain, wanted), subject)
        return [number for number in wanted or found if number in found]

    def of_session(self, files, subject, session):
        """The files of a session, and those that are for all."""
        numbers = self.session_numbers(subject)
        return [file for file in files if layout.is_of_session(file.labels.get("session"), session, numbers)]

    # Runs

    @remembered
    def companions(self, name, subject, session):
        """(patterns, files) of the session's designs, confounds, ..., or None where this layout has none."""
        found = self.find(name, subject)
        return found and (found[0], self.of_session(found[1], subject, session))

    @remembered
    def designs(self, subject, session):
        """As `companions`, with the numbers of the runs where designs are numbered in a way of their own."""
        found = self.companions("designs", subject, session)
        spec = self.layout["design_runs"]
        runs = self.checked(values.numbers, "layout: design_runs", spec) if spec else None
        return (found[0], self.checked(layout.in_order, found[1], runs)) if found and runs else found

    def design_length(self, path):
        """(rows, whether it presents nothing) of a design; (None, False) of an events table."""
        return layout.design_length(self.files.local(path))

    def is_rest(self, design):
        return self.design_length(design.path)[1]

    @remembered
    def task_runs(self, subject, session):
        """The session's runs that present something."""
        numbers, designs = self.session_numbers(subject), self.designs(subject, session)
        files = [file for file in self.scans(subject) if numbers[file.labels.get("session")] == session]
        wanted = self.chosen("runs")
        self.files.ready([file.path for file in designs[1] if layout.may_be_of(file, wanted)] if designs else [])
        runs, problems = self.checked(layout.session_runs, files, designs, session, wanted, self.is_rest)
        self.complain(problems, subject)
        rest = [run.number for run in runs if run.design and self.is_rest(run.design)]
        surprise = layout.rest_surprise(len(runs), rest, self.layout["expect_rest"])
        if surprise and not wanted:
            self.warn(f"subject {subject}, session {session}: {surprise}")
        if len(rest) == len(runs):
            where = f"subject {subject}, session {session}"
            raise self.wrong(f"{where}: no task run is there; correct the layout, or leave it out")
        return [run for run in runs if run.number not in rest]

    def all_runs(self, subject):
        return [run for session in self.sessions(subject) for run in self.task_runs(subject, session)]

    def runs(self, subject, session=None):
        """The task runs of the session, or without one, of all."""
        return self.task_runs(subject, session) if session else self.all_runs(subject)

    # Files that belong to runs

    @remembered
    def of_run(self, name, subject, run_path, session):
        run = next(run for run in self.task_runs(subject, session) if run.path == run_path)
        wanted, files = self.companions(name, subject, session)
        return self.checked(layout.companion, files, run, WHAT[name], wanted)

    def of_runs(self, name, subject, session=None):
        """One file of the kind for each run."""
        return [self.of_run(name, subject, run.path, run.session) for run in self.runs(subject, session)]

    def design_files(self, subject, session=None):
        return [run.design.path for run in self.runs(subject, session) if run.design]

    def design_rows(self, subject, session=None):
        return [self.design_length(design)[0] for design in self.design_files(subject, session)]

    def events(self, designs):
        """Whether there are tables of events among the designs."""
        return any(self.design_length(design)[0] is None for design in designs)

    def label_files(self, subject, session=None):
        """The designs that the labels depend on: of events whose categories are not named, all of the subject's."""
        designs = self.design_files(subject, session)
        return self.design_files(subject) if self.unnamed() and self.events(designs) else designs

    def unnamed(self):
        """Whether the ids of events are the places of their names among those that occur."""
        return self.config["labels"]["categories"] is None and self.config["labels"]["ids"] == "names"

    @remembered
    def categories(self, subject):
        paths = [self.files.local(path) for path in self.design_files(subject)]
        return self.checked(layout.categories, paths, self.config["labels"]["column"])

    def cleaning_files(self, subject, session=None):
        """Tables of confounds and sample masks, as far as the cleaning needs them."""
        names = [name for name in ("confounds", "sample_masks") if self.needed(name)]
        return [file.path for name in names for file in self.of_runs(name, subject, session)]

    def needed(self, name):
        """Whether confounds or sample masks are to be used; a wish without a pattern is an error."""
        if name == "sample_masks":
            return bool(self.layout["sample_masks"])
        wanted = stages.wants_confounds(self.config["clean"])
        if wanted and not self.layout["confounds"]:
            raise self.wrong("config: clean asks for confounds; give layout: confounds, or a preset that has it")
        return wanted

    @remembered
    def mask_files(self, subject):
        """The brain masks of a subject, which make one together; none where all that is ever other than zero is
        kept."""
        if not (wanted := self.patterns_of("mask", subject)):
            return []
        if not any(pattern.holes for pattern in wanted):
            return [str(wanted[0])]
        return sorted({file.path for file in self.of_runs("mask", subject)})

    # Time

    @remembered
    def sidecars(self, subject):
        """{run: its sidecars, the nearest first}; empty where the layout knows none."""
        if not self.layout["sidecars"]:
            return {}
        found = {}
        for run in self.all_runs(subject):
            files = layout.companions(self.companions("sidecars", subject, run.session)[1], run.labels)
            found[run.path] = [file.path for file in files]
        return found

    def from_sidecars(self, subject, read, what, key):
        """What all runs' sidecars say, or None."""
        local = {path: [self.files.local(file) for file in files] for path, files in self.sidecars(subject).items()}
        said = {path: self.checked(read, files) for path, files in local.items()}
        return self.checked(bids.agreed, said, what, key)

    @remembered
    def repetition_time(self, subject):
        """Seconds from volume to volume as the configuration or the sidecars have it; None leaves it to the
        headers."""
        if self.config["pack"]["tr"] is not None:
            return self.config["pack"]["tr"]
        return self.from_sidecars(subject, bids.repetition_time, "RepetitionTime", "pack: tr")

    @remembered
    def sampled(self, subject):
        """Where in its TR a volume was sampled: as the configuration says, or the sidecars, or what fMRIPrep does."""
        if self.config["labels"]["sampled"] is not None:
            return self.config["labels"]["sampled"]
        tr = self.config["pack"]["tr"]
        fraction = self.from_sidecars(subject, lambda f: bids.sampled(f, tr), "StartTime", "labels: sampled")
        if fraction is None and self.described() and bids.by_fmriprep(self.described()):
            what = "volumes of fMRIPrep count as sampled in the middle of their TR (labels: sampled)"
            self.note(f"subject {subject}: {what}")
            return bids.FMRIPREP_SAMPLED
        return fraction or 0

    # Regions of interest

    @remembered
    def entities(self, subject):
        """What the patterns of volumes are filled with: the entities of the subject's runs."""
        shared = {name: labels.copy().pop() for name, labels in layout.entity_values(self.scans(subject)).items()}
        return {**self.constants, **shared, "subject": subject}

    def volume_patterns(self, name, subject):
        labels = self.entities(subject)
        return tuple(self.checked(pattern.fill, **labels) for pattern in self.patterns_of(name, subject))

    def volume_names(self, subject):
        """The names of the ROI volumes that there are."""
        found = [file for pattern in self.volume_patterns("rois", subject) for file in pattern.find(self.files)]
        return sorted({file.labels["roi"] for file in found if file.labels.get("roi")})

    @remembered
    def selection(self, subject, roi):
        """What an entry of rois selects; an ROI that is not listed is a volume of that name."""
        masks = self.mask_files(subject) if rois.uses_mask(roi, self.config["rois"]) else []
        volumes = rois.Volumes(
            root=self.root,
            rois=self.volume_patterns("rois", subject),
            stats=self.volume_patterns("stats", subject),
            tables=self.volume_patterns("tables", subject),
            masks=tuple(masks),
            entries=self.config["rois"],
            labels=self.entities(subject),
            there=self.files.exists,
            names=lambda: self.volume_names(subject),
        )
        return self.checked(rois.selection, roi, volumes)

    def roi_files(self, subject, roi):
        return rois.files(self.selection(subject, roi))

    def roi_table(self, subject, roi):
        return self.checked(rois.table_of, self.selection(subject, roi)) or []
