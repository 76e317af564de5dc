#!/bin/sh
# What a container image of boldmill is made with, on Debian 12: run in the folder of the sources, as root.
#     packaging/image.sh            all of it
#     packaging/image.sh STEP...    some of: packages build python trim check
# Dockerfile and packaging/boldmill.def call this and nothing else; tests/image.py runs it in a fresh Debian.
set -eu

# What the programs run on, and what they are built with, which is removed again.
RUN_PACKAGES='libhdf5-103-1 zlib1g libisal2 libjansson4 python3 procps ca-certificates'
BUILD_PACKAGES='gcc libc6-dev make pkg-config libhdf5-dev zlib1g-dev libisal-dev libjansson-dev python3-venv'
# What the workflow runs on: these lines of requirements.txt and whatever they need, at the versions given there.
PYTHON_PACKAGES='snakemake snakemake-executor-plugin-slurm snakemake-executor-plugin-cluster-generic numpy h5py boto3 matplotlib'

step_packages() {
  apt-get update -qq
  # shellcheck disable=SC2086  # lists of package names
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $RUN_PACKAGES $BUILD_PACKAGES
}

step_build() {
  make -j"$(nproc)" all
}

# requirements.txt serves as the list of versions for all that pip chooses to install.
step_python() {
  python3 -m venv .venv
  for name in $PYTHON_PACKAGES; do grep -ix "$name==.*" requirements.txt; done > build/image-requirements.txt
  .venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -c requirements.txt -r build/image-requirements.txt
  .venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps .
}

step_trim() {
  rm -rf build
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get purge -qq -y --auto-remove $BUILD_PACKAGES
  rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
}

# A subject of three sessions through the workflow, in a folder that is removed.
step_check() {
  here=$PWD
  work=$(mktemp -d)
  cd "$work"
  "$here/bin/synthnsd" --quiet --dims 12,13,11 --sessions 1 --runs 2 nsd
  "$here/.venv/bin/snakemake" -s "$here/Snakefile" -j2 --quiet all --config root="$work/nsd" -- cache/subj01/general.fmri.npy
  "$here/bin/boldinfo" --verify cache/subj01/general.json
  "$here/.venv/bin/python" -c 'import boldmill; print(boldmill.Arrays("cache/subj01/general").fmri.shape)'
  cd "$here"
  rm -rf "$work"
}

[ $# -gt 0 ] || set -- packages build python trim check
for step in "$@"; do
  echo "== $step"
  "step_$step"
done
