# From scanned runs to the arrays that models train on; docs/workflow.md tells how to use it.
import os

from snakemake.utils import min_version

min_version("9.0")

# config.yaml of the working directory, unless --configfile names others. Keys that a file leaves out have the
# defaults of config/schema.yaml.
if not workflow.configfiles and os.path.exists("config.yaml"):

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/dataset.smk"
include: "rules/options.smk"
include: "rules/pack.smk"
include: "rules/arrays.smk"
include: "rules/clean.smk"
include: "rules/shuffle.smk"
include: "rules/verify.smk"
include: "rules/fetch.smk"
include: "rules/operate.smk"
include: "rules/estimate_facts.smk"
include: "rules/estimate.smk"
include: "rules/report_facts.smk"
include: "rules/report.smk"


localrules:
    all,
    fetch,
    verify,
    estimate,
    report,


rule all:
    """Everything that the configuration asks for (targets, subjects, rois)."""
    default_target: True
    input:
        all_targets,
