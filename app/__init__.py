"""DAMS: a clinic's processes over SpiffWorkflow, Zeebe, Temporal, Celery and Airflow; PostgreSQL is the truth."""
