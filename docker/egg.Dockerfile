# egg's own processes, as no root, in the versions that the lock names. `make image` builds it; both of Docker's builders can.
ARG BASE=debian:bookworm-slim
# Where packages are fetched: BASE, and what the way to them asks for besides. Nothing of it comes into the image.
ARG FETCHING=${BASE}

FROM ${FETCHING} AS built
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv && \
    rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_QUIET=1
WORKDIR /built
# By themselves, so that they are not fetched again for each change of ours.
COPY requirements requirements
RUN python3 -m venv /built/tools && \
    tools/bin/pip install --no-compile --no-deps --require-hashes --requirement requirements/build.txt && \
    python3 -m venv /opt/egg && \
    /opt/egg/bin/pip install --no-compile --no-deps --require-hashes --requirement requirements/runtime.txt
COPY . source
ARG VERSION=
RUN SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION \
      tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheel ./source && \
    /opt/egg/bin/pip install --no-compile --no-deps --no-index wheel/*.whl && \
    /opt/egg/bin/pip check && \
    /opt/egg/bin/pip uninstall --yes pip setuptools && \
    /opt/egg/bin/python -m compileall -q -j 0 /opt/egg/lib

FROM ${BASE}
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates git git-lfs openssh-client python3 && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=built /opt/egg /opt/egg
COPY docker/with-secrets /usr/local/bin/
# A volume that is mounted there is its.
RUN install -d -m 711 -o 65532 -g 65532 /var/lib/egg
ENV PATH=/opt/egg/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    HOME=/tmp \
    EGG_HOME=/var/lib/egg
USER 65532:65532
WORKDIR /
ENTRYPOINT ["with-secrets", "egg"]
CMD ["--help"]
