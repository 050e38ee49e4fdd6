# One image for every process of DAMS; docker-compose.yml says which one a container is.

FROM node:24.11.1-bookworm-slim AS front-end
WORKDIR /build/app/web/frontend
COPY app/web/frontend/package.json app/web/frontend/package-lock.json app/web/frontend/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY app/web/frontend ./
RUN npm run --silent build

FROM python:3.11.14-slim-bookworm AS packages
COPY requirements.lock ./
RUN python -m venv /opt/dams && /opt/dams/bin/pip install --no-cache-dir --require-hashes -r requirements.lock

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/dams/bin:$PATH PYTHONPATH=/srv/dams PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home dams && install --directory --owner dams /files
COPY --from=packages /opt/dams /opt/dams
WORKDIR /srv/dams
COPY config.toml ./
COPY app ./app
COPY workers ./workers
COPY temporal ./temporal
COPY migrations ./migrations
COPY bpmn ./bpmn
COPY docs/modelling.md ./docs/modelling.md
COPY --from=front-end /build/app/web/static/dist ./app/web/static/dist
USER 10001
EXPOSE 8000
CMD ["python", "-m", "app.web.serve", "--interface", "rsgi", "--loop", "uvloop", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--no-ws", "--log-level", "warning", "--respawn-failed-workers", "--factory", "app.web.rsgi:application"]
