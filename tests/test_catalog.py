"""What Snakemake's workflow catalog asks of a repository, and that the workflow runs from where the catalog looks.

Rules: the catalog's page "Adding workflows" (generic workflows, and standardised usage)."""

import subprocess
import sys

import pytest
import yaml
from conftest import BIN, ROOT
from flow import ENV, Flow

pytest.importorskip("snakemake", reason="Snakemake is not installed; make .venv/ready installs it")
GENERAL = "cache/subj01/general.fmri.npy"


def test_generic_workflows():
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme
    assert (ROOT / "workflow/Snakefile").is_file() and list((ROOT / "rules").glob("*.smk"))


def test_standardised_usage():
    assert len((ROOT / "config/README.md").read_text()) > 200
    told = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert set(told) == {"usage"}
    usage = told["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert all(isinstance(text, str) and text for text in usage["mandatory-flags"].values())
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    assert all(isinstance(v, bool) for v in (*usage["software-stack-deployment"].values(), usage["report"]))


def test_versions_agree():
    """One number: the Makefile's, from which programs, package and tarball have theirs."""
    version = next(line.split()[-1] for line in (ROOT / "Makefile").read_text().splitlines() if "VERSION :=" in line)
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
    said = subprocess.run([BIN / "boldinfo", "--version"], capture_output=True, text=True, check=True).stdout
    assert version in said.split("\n")[0]


@pytest.fixture(scope="module")
def nsd(run, tmp_path_factory):
    root = tmp_path_factory.mktemp("catalog") / "nsd"
    run("synthnsd", "--runs", "2", "--volumes", "40", "--dims", "12,13,11", "--quiet", root)
    return root


def test_as_the_catalog_lints_it():
    """tests/test_workflow.py does the same with the Snakefile."""
    command = [sys.executable, "-m", "snakemake", "--lint", "-s", "workflow/Snakefile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=ENV, check=False)
    assert done.returncode == 0 and "Congratulations" in done.stderr + done.stdout, done.stderr


MODULE = """
module boldmill:
    snakefile: "{snakefile}"
    config: config

use rule * from boldmill

rule mine:
    default_target: True
    input: "cache/subj01/general.fmri.npy"
    output: "size.txt"
    shell: "wc -c < {{input}} > {{output}}"
"""


def test_as_a_module_of_another_workflow(nsd, tmp_path):
    """Results are the same from the Snakefile, from workflow/Snakefile, and within somebody's workflow."""
    made = []
    (tmp_path / "mine.smk").write_text(MODULE.format(snakefile=ROOT / "workflow/Snakefile"))
    for k, snakefile in enumerate((ROOT / "Snakefile", ROOT / "workflow/Snakefile", tmp_path / "mine.smk")):
        folder = tmp_path / str(k)
        folder.mkdir()
        target = "mine" if k == 2 else GENERAL
        command = Flow(folder, {"root": str(nsd)}).command(target)
        command[command.index("-s") + 1] = str(snakefile)
        done = subprocess.run(command, capture_output=True, text=True, env=ENV, check=False)
        assert done.returncode == 0, done.stderr
        made.append((folder / GENERAL).read_bytes())
    assert made[0] == made[1] == made[2]
    assert int((tmp_path / "2/size.txt").read_text()) == len(made[0])
