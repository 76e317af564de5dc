"""The pipelines that clean and label runs, as (program, options) pairs. Pure functions of the configuration."""

from configuration.values import listed


def cleaning(clean, confounds=None, masks=None, dtype=None):
    """The programs that change values, in their order. `confounds` and `masks` are what names the tables and sample
    masks of the runs."""
    numeric = denoised(clean, confounds, masks) if wants_denoise(clean, masks) else detrended(clean)
    if numeric and dtype:
        numeric[-1][1]["dtype"] = dtype
    return numeric


def wants_denoise(clean, masks):
    """detrend does for a polynomial; all else is the work of denoise."""
    return bool(masks) or bool(clean["high_pass"] or clean["low_pass"]) or wants_confounds(clean)


def wants_confounds(clean):
    """Whether tables of confounds are needed, to be projected out or for censoring."""
    return clean["confounds"]["columns"] is not None or bool(clean["censor"]["conditions"])


def detrended(clean):
    """psc needs the mean, which detrend takes away: there zscore comes first."""
    numeric = []
    if clean["order"] is not None:
        given = {"order": clean["order"], "keep_mean": clean["keep_mean"], "nonfinite": unusual(clean)}
        numeric.append(("detrend", given))
    numeric += standardised(clean)
    return numeric[::-1] if clean["method"] == "psc" else numeric


def denoised(clean, confounds, masks):
    order = -1 if clean["order"] is None else clean["order"]
    given = {"order": order, "high_pass": clean["high_pass"], "low_pass": clean["low_pass"]}
    butterworth = clean["filter"] == "butterworth"
    if clean["high_pass"] or clean["low_pass"]:
        given |= {"filter": clean["filter"], "filter_order": clean["filter_order"] if butterworth else None}
    if wants_confounds(clean):
        given |= {"confounds": confounds, **confound_options(clean["confounds"])}
    if clean["censor"]["conditions"] or masks:
        given |= censor_options(clean["censor"], masks)
        given["ends"] = clean["censor"]["ends"] if butterworth else None
    given["keep_mean"] = clean["keep_mean"] or clean["method"] == "psc"
    given["dtype"] = "float64" if clean["method"] == "psc" else None  # small changes on a large mean
    given["nonfinite"] = unusual(clean)
    return [("denoise", given), *standardised(clean)]


def confound_options(confounds):
    columns = listed(confounds["columns"])
    return {
        "columns": ",".join(str(column) for column in columns) if columns else "none",
        "expand": ",".join(confounds["expand"]) or None,
        "missing": confounds["missing"],
    }


def censor_options(censor, masks):
    return {
        "censor": censor["conditions"],
        "sample_mask": masks,
        "censor_before": censor["before"] or None,
        "censor_after": censor["after"] or None,
        "min_segment": censor["min_segment"] or None,
    }


def standardised(clean):
    if clean["method"] == "none":
        return []
    ddof = clean["ddof"] if clean["method"] == "zscore" else None
    return [("zscore", {"method": clean["method"], "ddof": ddof, "nonfinite": unusual(clean)})]


def unusual(clean):
    """What to do with samples that are not finite, where it is not what the programs do anyway."""
    return None if clean["nonfinite"] == "voxel" else clean["nonfinite"]


def labelling(labels, sampled, designs, dtype=None):
    """hrfshift, where there is something to label with or the data are to be moved."""
    moved = labels["shift"] != "none"
    if not designs and not moved:
        return []
    given = {"design": designs, "offset": labels["offset"], "sampled": sampled or None}
    if moved:
        given |= {"shift": labels["shift"], "edges": labels["edges"], "dtype": dtype}
        given["sinc_width"] = labels["sinc_width"] if labels["shift"] == "sinc" else None
    if designs:
        given |= {name: labels[name] for name in ("history", "repeats", "column")}
        given["categories"] = ",".join(labels["categories"] or []) or None
        given["ids"] = labels["ids"] if labels["ids"] != "names" else None
    return [("hrfshift", given)]
