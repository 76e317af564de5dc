"""Which files of a dataset a configuration needs: those that the workflow would read, and what is asked for."""

from dataset.patterns import Pattern

READ_ROIS = {"arrays", "shuffle", "split"}


def needed(data, config, rois=None, note=lambda text: None):
    """{path: what it is}, in the order in which the workflow can use them; rois: names of those that are wanted, if
    not all that the configuration lists. Asks the dataset, and by that reads designs, sidecars and
    dataset_description.json, which are needed too."""
    wanted = {}
    for subject in data.subjects():
        note(subject)
        wanted |= dict.fromkeys(run_files(data, subject), "design")
        wanted |= dict.fromkeys(data.cleaning_files(subject), "confounds")
        wanted |= dict.fromkeys(data.mask_files(subject), "mask")
        if READ_ROIS & set(config["targets"]):
            wanted |= dict.fromkeys(roi_files(data, rois or config["rois"], subject), "roi")
        wanted |= dict.fromkeys((run.path for run in data.all_runs(subject)), "run")
    wanted |= dict.fromkeys(extras(data, config), "extra")
    return {path: kind for name, kind in wanted.items() for path in pair(name, data)}


def run_files(data, subject):
    """What belongs to runs. Questions whose answers are in sidecars are asked, so that these are read."""
    data.repetition_time(subject)
    data.sampled(subject)
    sidecars = [file for files in data.sidecars(subject).values() for file in files]
    return [*sidecars, *data.design_files(subject)]


def roi_files(data, rois, subject):
    for roi in rois:
        yield from data.roi_files(subject, roi)
        yield from [data.roi_table(subject, roi)] if data.roi_table(subject, roi) else []


def pair(path, data):
    """The path, and of a header that says nothing without its image, both."""
    if not path.endswith((".hdr", ".hdr.gz")):
        return [path]
    images = [path.replace(".hdr", ".img"), path.removesuffix(".gz").replace(".hdr", ".img") + ".gz"]
    return [path, *(image for image in dict.fromkeys(images) if data.files.exists(image))]


def extras(data, config):
    """What `remote: extras` names: entries of `layout: extras`, or paths and patterns below the root; of the subjects
    and sessions that are wanted."""
    for name in config["remote"]["extras"]:
        texts = config["layout"]["extras"].get(name, name)
        for text in texts if isinstance(texts, list) else [texts]:
            yield from extra(data, name, text)


def extra(data, name, text):
    if "/" not in text and "." not in text:
        known = ", ".join(data.layout["extras"]) or "none"
        raise data.wrong(f"config: remote: extras: {name} is no path, and layout: extras has {known}; correct it")
    pattern = data.checked(lambda: Pattern.parse(text).fill(**data.constants).under(data.root))
    found = [file for file in pattern.find(data.files) if is_wanted(data, file.labels)]
    if not found:
        raise data.wrong(f"{pattern}: is not in the bucket; correct remote: extras, or leave it out")
    yield from (file.path for file in found)


def is_wanted(data, labels):
    """Whether a file of this subject and session is; one without them is for all."""
    subject, session = labels.get("subject"), labels.get("session")
    subjects = [one for one in data.subjects() if subject in (None, one)]
    if session is None:
        return bool(subjects)
    plain = int(session) if session.isdecimal() else None
    return any(data.session_numbers(one).get(session, plain) in data.sessions(one) for one in subjects)
