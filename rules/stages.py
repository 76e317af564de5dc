"""The pipelines that clean and label runs, as (program, options) pairs. Pure functions of the configuration.

Options that have their defaults are left out where the programs have the same defaults.
"""

from settings import listed


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
        numeric.append(("detrend", {"order": clean["order"], **extras(clean, "keep_mean", "nonfinite")}))
    numeric += standardised(clean)
    return numeric[::-1] if clean["method"] == "psc" else numeric


def denoised(clean, confounds, masks):
    order = -1 if clean["order"] is None else clean["order"]
    given = {"order": order, **extras(clean, "high_pass", "low_pass")}
    if clean["high_pass"] or clean["low_pass"]:
        given |= extras(clean, "filter", "filter_order")
    if wants_confounds(clean):
        given |= {"confounds": confounds, **confound_options(clean["confounds"])}
    if clean["censor"]["conditions"] or masks:
        given |= censor_options(clean["censor"], masks)
    given["keep_mean"] = clean["keep_mean"] or clean["method"] == "psc"
    given |= extras(clean, "nonfinite")
    return [("denoise", given), *standardised(clean)]


def confound_options(confounds):
    columns = listed(confounds["columns"])
    return {
        "columns": ",".join(str(column) for column in columns) if columns else "none",
        "expand": ",".join(confounds["expand"]) or None,
        **extras(confounds, "missing"),
    }


def censor_options(censor, masks):
    return {
        "censor": censor["conditions"],
        "sample_mask": masks,
        "censor_before": censor["before"] or None,
        "censor_after": censor["after"] or None,
        **extras(censor, "min_segment", "ends"),
    }


def standardised(clean):
    if clean["method"] == "none":
        return []
    ddof = clean["ddof"] if clean["method"] == "zscore" else None
    return [("zscore", {"method": clean["method"], "ddof": ddof, **extras(clean, "nonfinite")})]


DEFAULTS = {"filter": "cosine", "filter_order": 5, "missing": "start", "ends": "extrapolate", "nonfinite": "voxel"}


def extras(section, *names):
    """The options that differ from the programs' defaults."""
    return {name: section[name] or None for name in names if section[name] != DEFAULTS.get(name)}


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
    return [("hrfshift", given)]
