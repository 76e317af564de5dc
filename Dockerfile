# The programs, the workflow and Snakemake on Debian 12, from its own packages:
#     docker build -t boldmill .
#     docker run --rm -u $(id -u):$(id -g) -v /data/nsd:/data/nsd:ro -v $PWD:/work boldmill \
#         snakemake -s /opt/boldmill/Snakefile -j8 --config root=/data/nsd -- cache/subj01/general.fmri.npy
# What is done is in packaging/image.sh.
ARG BASE=debian:12-slim
FROM ${BASE}
COPY . /opt/boldmill
WORKDIR /opt/boldmill
RUN packaging/image.sh
# Snakemake wants a HOME and a name, which an unknown user (-u) does not have.
ENV PATH=/opt/boldmill/.venv/bin:/opt/boldmill/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp LOGNAME=user
WORKDIR /work
CMD ["snakemake", "-s", "/opt/boldmill/Snakefile", "--help"]
