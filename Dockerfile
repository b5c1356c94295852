# Two images: `bellwether`, in which every role runs, and `broker`, Mosquitto with our configuration.
# Built by `docker compose build`; what may come in is listed in .dockerignore.

FROM node:22.21.1-bookworm-slim AS pages
WORKDIR /build/dashboard
COPY dashboard/package.json dashboard/package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY dashboard/build.mjs ./
RUN npm run build

FROM python:3.12.12-slim-bookworm AS libraries
COPY requirements.txt /build/
# Nothing is installed whose checksum is not in the lock.
RUN python -m venv /opt/python \
    && /opt/python/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/requirements.txt

FROM eclipse-mosquitto:2.0.22 AS broker
COPY --chmod=0444 bellwether/stack/mosquitto.conf /mosquitto/config/common.conf
COPY --chmod=0444 deploy/mosquitto/dynamic-security.json /mosquitto/config/dynamic-security.json
COPY --chmod=0555 deploy/mosquitto/start.sh /mosquitto/start.sh
# The image's own user `mosquitto`, by number so that an orchestrator can see that it is not root.
USER 1883:1883
ENTRYPOINT ["/mosquitto/start.sh"]
CMD []

FROM python:3.12.12-slim-bookworm AS bellwether
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin bellwether \
    && install -d -o bellwether -g bellwether -m 0700 /var/lib/bellwether
COPY --from=libraries /opt/python /opt/python
ENV PATH=/opt/python/bin:$PATH \
    PYTHONPATH=/opt/bellwether \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/bellwether
COPY telemetry telemetry
COPY detectors detectors
COPY alarms alarms
COPY tickets tickets
COPY store store
COPY ingest ingest
COPY notify notify
COPY prognosis prognosis
COPY api api
COPY firmware_sim firmware_sim
COPY dashboard dashboard
COPY bellwether bellwether
COPY deploy/healthy.py deploy/healthy.py
COPY LICENSE LICENSE
COPY --from=pages /build/dashboard/static/vendor dashboard/static/vendor
# Compiled here, since at run time nothing can be written; readable whatever the umask of the checkout was.
RUN python -m compileall -q . && chmod -R a+rX,go-w .
USER 10001:10001
# The roles end cleanly at SIGTERM, so no init is needed between.
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "bellwether"]
CMD ["--help"]
