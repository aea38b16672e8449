"""The Dockerfile of a project's image."""

from images.source import Source

_HEALTH = (
    "import os, urllib.request; "
    "urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\\\"PORT\\\"]}/health', timeout=4)"
)


def dockerfile(source: Source, *, repositories: bool) -> str:
    """The text, for the context that `images.context` makes. What changes most often is in the last layer.

    Args:
        repositories: whether packages come from Git repositories too.
    """
    lines = "".join(f"{line}\n" for line in source.project.dockerfile_lines)
    config = f"/project/{source.config.as_posix()}"
    pip_config = "COPY pip.conf /etc/pip.conf\n" if source.project.pip_config_file else ""
    from_git = _FROM_GIT if repositories else ""
    return f"""\
# Made from {source.config.as_posix()} of {source.root.name}, with the agent service in the same environment.
ARG BASE={source.base}

FROM ${{BASE}} AS base
# The first command, which a builder shows when it cannot run it.
RUN : "exec format error: this builder runs no programs of the processor that cluster.architecture names"
{lines}
FROM base AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \\
    PIP_NO_CACHE_DIR=1
WORKDIR /app
{pip_config}RUN python -m venv --without-pip /opt/venv
COPY requirements.txt ./
# Every package by its hash. Bytecode is made now, because the file system is read-only later.
RUN pip --python /opt/venv/bin/python install --require-hashes --no-deps -r requirements.txt \\
    && python -m compileall -q -j 0 /opt/venv/lib
{from_git}
FROM packages AS sbom
COPY sbom-requirements.txt ./
RUN python -m venv --without-pip /opt/sbom \\
    && pip --python /opt/sbom/bin/python install --require-hashes --only-binary :all: -r sbom-requirements.txt \\
    && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file sbom.cdx.json /opt/venv/bin/python

FROM packages AS service
COPY service /app
RUN python -m compileall -q -j 0 /app/langgraph_agents_service

FROM packages AS project
COPY project /project
# A file that is not Python of this version stays as it is.
RUN python -m compileall -q -j 0 /project || true

FROM base
LABEL org.opencontainers.image.title="{source.project.folder.name}"
RUN pip uninstall -y pip \\
    && useradd --uid 1000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin agent
COPY --from=packages /opt/venv /opt/venv
COPY --from=sbom /app/sbom.cdx.json /usr/local/share/sbom/langgraph-agent.cdx.json
COPY --from=service /app /app
# glibc keeps the memory of a peak for good otherwise, and an autoscaler on memory would never scale in again.
ENV PATH=/opt/venv/bin:$PATH \\
    PYTHONPATH=/app \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1 \\
    MALLOC_ARENA_MAX=2 \\
    MALLOC_TRIM_THRESHOLD_=131072 \\
    MALLOC_MMAP_THRESHOLD_=131072 \\
    LANGGRAPH_CONFIG={config} \\
    PORT=8000
COPY --from=project /project /project
WORKDIR {config.rpartition("/")[0]}
USER 1000:1000
EXPOSE 8000 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \\
    CMD ["python", "-c", "{_HEALTH}"]
# -P: modules of the project must not take the place of Python's own.
ENTRYPOINT ["python", "-P", "-m", "langgraph_agents_service"]
CMD ["serve"]
"""


_FROM_GIT = """\
COPY repositories.txt ./
# By commit, which takes the place of a hash.
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/* \\
    && pip --python /opt/venv/bin/python install --no-deps -r repositories.txt \\
    && python -m compileall -q -j 0 /opt/venv/lib
"""
