"""initial

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


FUNCTIONS = (
    # The service's time: demo mode moves the offset, timers and due dates follow.
    """create function dams_now() returns timestamptz language sql stable as
       $$ select now() + make_interval(secs => (select offset_seconds from service_clock)) $$""",
    # The relay listens: a committed row is sent at once, polling is only the fallback.
    """create function outbox_notify() returns trigger language plpgsql as
       $$ begin perform pg_notify('outbox', ''); return null; end $$""",
    """create trigger outbox_notify after insert on outbox
       for each statement execute function outbox_notify()""",
    # What happened cannot be unwritten, not even by a mistake in this service.
    """create function case_event_is_append_only() returns trigger language plpgsql as
       $$ begin raise exception 'case_event is append-only' using errcode = 'integrity_constraint_violation'; end $$""",
    """create trigger case_event_is_append_only before update or delete or truncate on case_event
       for each statement execute function case_event_is_append_only()""",
)


def upgrade() -> None:
    op.execute("create extension if not exists btree_gist")
    op.execute("create extension if not exists pg_trgm")
    op.execute("create sequence case_number start 1001")
    op.create_table(
        "candidate_group",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidate_group")),
        sa.UniqueConstraint("name", name=op.f("uq_candidate_group_name")),
    )
    op.create_table(
        "inbox",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_inbox")),
    )
    op.create_table(
        "login",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("username", sa.String(length=20), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=160), server_default="", nullable=False),
        sa.Column("email", sa.String(length=254), server_default="", nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("locale", sa.String(length=8), server_default="en", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login")),
        sa.UniqueConstraint("username", name=op.f("uq_login_username")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("case_no", sa.Text(), nullable=True),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('pending', 'sent', 'dead')", name=op.f("ck_outbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_outbox_kind_key")),
    )
    op.create_index(
        "ix_outbox_pending", "outbox", ["next_at"], unique=False, postgresql_where=sa.text("state = 'pending'")
    )
    op.create_table(
        "service_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset_seconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_service_clock_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_clock")),
    )
    op.create_table(
        "worker_heartbeat",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker_heartbeat")),
    )
    op.create_table(
        "access_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("login_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["login_id"], ["login.id"], name=op.f("fk_access_token_login_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_token_token_hash")),
    )
    op.create_index(op.f("ix_access_token_login_id"), "access_token", ["login_id"], unique=False)
    op.create_table(
        "administrator",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("empid", sa.String(length=12), nullable=False),
        sa.Column("position", sa.String(length=100), nullable=False),
        sa.Column("status", sa.Boolean(), nullable=False),
        sa.Column("date_started", sa.Date(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("firstname", sa.String(length=50), nullable=False),
        sa.Column("midname", sa.String(length=50), nullable=False),
        sa.Column("lastname", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("mobile", sa.String(length=15), nullable=False),
        sa.Column("username", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["username"], ["login.username"], name=op.f("fk_administrator_username"), onupdate="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_administrator")),
        sa.UniqueConstraint("empid", name=op.f("uq_administrator_empid")),
        sa.UniqueConstraint("username", name=op.f("uq_administrator_username")),
    )
    op.create_table(
        "case_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("case_no", sa.Text(), nullable=True),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_event")),
    )
    op.create_index(
        "ix_case_event_case_no",
        "case_event",
        ["case_no", "id"],
        unique=False,
        postgresql_where=sa.text("case_no is not null"),
    )
    op.create_index(
        "ix_case_event_kind", "case_event", ["kind", "id"], unique=False, postgresql_where=sa.text("case_no is null")
    )
    op.create_table(
        "deployment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("login_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["login_id"], ["login.id"], name=op.f("fk_deployment_login_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
    )
    op.create_table(
        "doctor",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("empid", sa.String(length=12), nullable=False),
        sa.Column("position", sa.String(length=100), nullable=False),
        sa.Column("age", sa.Integer(), nullable=False),
        sa.Column("specialization", sa.String(length=100), nullable=False),
        sa.Column("status", sa.Boolean(), nullable=False),
        sa.Column("date_started", sa.Date(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("firstname", sa.String(length=50), nullable=False),
        sa.Column("midname", sa.String(length=50), nullable=False),
        sa.Column("lastname", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("mobile", sa.String(length=15), nullable=False),
        sa.Column("username", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["username"], ["login.username"], name=op.f("fk_doctor_username"), onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_doctor")),
        sa.UniqueConstraint("empid", name=op.f("uq_doctor_empid")),
        sa.UniqueConstraint("username", name=op.f("uq_doctor_username")),
    )
    op.create_index("ix_doctor_specialization", "doctor", ["specialization"], unique=False)
    op.create_table(
        "group_member",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("login_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["candidate_group.id"], name=op.f("fk_group_member_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["login_id"], ["login.id"], name=op.f("fk_group_member_login_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "login_id", name=op.f("pk_group_member")),
    )
    op.create_index(op.f("ix_group_member_login_id"), "group_member", ["login_id"], unique=False)
    op.create_table(
        "patient",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("patientid", sa.Integer(), nullable=False),
        sa.Column("birthday", sa.Date(), nullable=False),
        sa.Column("age", sa.Integer(), nullable=False),
        sa.Column("profession", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("date_registered", sa.Date(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("firstname", sa.String(length=50), nullable=False),
        sa.Column("midname", sa.String(length=50), nullable=False),
        sa.Column("lastname", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("mobile", sa.String(length=15), nullable=False),
        sa.Column("username", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["username"], ["login.username"], name=op.f("fk_patient_username"), onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("patientid", name=op.f("uq_patient_patientid")),
        sa.UniqueConstraint("username", name=op.f("uq_patient_username")),
    )
    op.create_index("ix_patient_name", "patient", ["lastname", "firstname"], unique=False)
    op.create_table(
        "web_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("login_id", sa.Integer(), nullable=True),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["login_id"], ["login.id"], name=op.f("fk_web_session_login_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_web_session_token_hash")),
    )
    op.create_index(op.f("ix_web_session_expires_at"), "web_session", ["expires_at"], unique=False)
    op.create_index(op.f("ix_web_session_login_id"), "web_session", ["login_id"], unique=False)
    op.create_table(
        "appointment",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("ticketid", sa.String(length=20), nullable=False),
        sa.Column("patientid", sa.Integer(), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=False),
        sa.Column("priority_level", sa.Integer(), nullable=False),
        sa.Column("date_scheduled", sa.Date(), nullable=False),
        sa.Column("time_scheduled", sa.Time(), nullable=False),
        sa.Column("consult_hrs", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("status", sa.String(length=20), server_default="booked", nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("docid"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("status in ('pending', 'booked', 'arrived', 'checked-in')"),
            using="gist",
            name="ex_appointment_doctor",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("patientid"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("status in ('pending', 'booked', 'arrived', 'checked-in')"),
            using="gist",
            name="ex_appointment_patient",
        ),
        sa.CheckConstraint(
            "status in ('proposed', 'pending', 'booked', 'arrived', 'fulfilled', 'cancelled', 'noshow', "
            "'entered-in-error', 'checked-in', 'waitlist')",
            name=op.f("ck_appointment_status"),
        ),
        sa.CheckConstraint("not isempty(during)", name=op.f("ck_appointment_during")),
        sa.CheckConstraint("priority_level between 1 and 5", name=op.f("ck_appointment_priority")),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_appointment_docid")),
        sa.ForeignKeyConstraint(["patientid"], ["patient.patientid"], name=op.f("fk_appointment_patientid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment")),
        sa.UniqueConstraint("ticketid", name=op.f("uq_appointment_ticketid")),
    )
    op.create_index("ix_appointment_date", "appointment", ["date_scheduled", "docid"], unique=False)
    op.create_index(op.f("ix_appointment_patientid"), "appointment", ["patientid"], unique=False)
    op.create_table(
        "diagnosis",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=False),
        sa.Column("patientid", sa.Integer(), nullable=False),
        sa.Column("narrative", sa.String(length=500), nullable=False),
        sa.Column("resolution", sa.String(length=500), nullable=False),
        sa.Column("date_submitted", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_diagnosis_docid")),
        sa.ForeignKeyConstraint(["patientid"], ["patient.patientid"], name=op.f("fk_diagnosis_patientid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_diagnosis")),
    )
    op.create_index(op.f("ix_diagnosis_docid"), "diagnosis", ["docid"], unique=False)
    op.create_index(op.f("ix_diagnosis_patientid"), "diagnosis", ["patientid"], unique=False)
    op.create_table(
        "model",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("process_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("xml", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("elements", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("forms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("tasks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("problems", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("engine in ('spiff', 'zeebe')", name=op.f("ck_model_engine")),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployment.id"], name=op.f("fk_model_deployment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("process_id", "version", name=op.f("uq_model_process_id_version")),
    )
    op.create_index(op.f("ix_model_deployment_id"), "model", ["deployment_id"], unique=False)
    op.create_index("uq_model_active", "model", ["process_id"], unique=True, postgresql_where=sa.text("active"))
    op.create_table(
        "payment",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("paymentid", sa.String(length=50), nullable=False),
        sa.Column("ticketid", sa.String(length=20), nullable=False),
        sa.Column("patientid", sa.Integer(), nullable=False),
        sa.Column("charge", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("amount", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("discount", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("status", sa.Boolean(), nullable=False),
        sa.Column("date_released", sa.Date(), nullable=True),
        sa.CheckConstraint("amount >= 0 and discount >= 0 and charge >= 0", name=op.f("ck_payment_not_negative")),
        sa.ForeignKeyConstraint(["patientid"], ["patient.patientid"], name=op.f("fk_payment_patientid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("paymentid", name=op.f("uq_payment_paymentid")),
    )
    op.create_index(op.f("ix_payment_patientid"), "payment", ["patientid"], unique=False)
    op.create_index(op.f("ix_payment_ticketid"), "payment", ["ticketid"], unique=False)
    op.create_table(
        "request",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=False),
        sa.Column("adminid", sa.String(length=12), nullable=False),
        sa.Column("details", sa.String(length=500), nullable=False),
        sa.Column("date_approved", sa.Date(), nullable=True),
        sa.Column("status", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["adminid"], ["administrator.empid"], name=op.f("fk_request_adminid")),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_request_docid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
    )
    op.create_index(op.f("ix_request_adminid"), "request", ["adminid"], unique=False)
    op.create_index(op.f("ix_request_docid"), "request", ["docid"], unique=False)
    op.create_table(
        "instance",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("case_no", sa.Text(), nullable=False),
        sa.Column("business_key", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("unfinished", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("variables", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("waiting", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("started_by", sa.Integer(), nullable=True),
        sa.Column("start_key", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('running', 'completed', 'failed', 'cancelled')", name=op.f("ck_instance_status")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_instance_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
        sa.UniqueConstraint("started_by", "start_key", name=op.f("uq_instance_started_by_start_key")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_instance_case_no", "instance", ["case_no"], unique=False)
    op.create_index("ix_instance_model", "instance", ["model_id", "id"], unique=False)
    op.create_index("ix_instance_unfinished", "instance", ["id"], unique=False, postgresql_where=sa.text("unfinished"))
    op.create_table(
        "incident",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("outbox_id", sa.Uuid(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("element_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_incident_instance_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["outbox_id"], ["outbox.id"], name=op.f("fk_incident_outbox_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["resolved_by"], ["login.id"], name=op.f("fk_incident_resolved_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        sa.UniqueConstraint("instance_id", "n", name=op.f("uq_incident_instance_id_n")),
    )
    op.create_index(
        "ix_incident_open", "incident", ["id"], unique=False, postgresql_where=sa.text("resolved_at is null")
    )
    op.create_table(
        "timer",
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("element_id", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_timer_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("instance_id", "task_id", name=op.f("pk_timer")),
    )
    op.create_index(op.f("ix_timer_due_at"), "timer", ["due_at"], unique=False)
    op.create_table(
        "user_task",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("element_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("candidates", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("assignee_id", sa.Integer(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("priority", sa.Integer(), server_default=sa.text("50"), nullable=False),
        sa.Column("form_data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("draft", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("completion_key", sa.Text(), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('ready', 'claimed', 'completed', 'cancelled')", name=op.f("ck_user_task_state")),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_user_task_instance_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_task")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_user_task_assignee",
        "user_task",
        ["assignee_id"],
        unique=False,
        postgresql_where=sa.text("state in ('ready', 'claimed') and assignee_id is not null"),
    )
    op.create_index("ix_user_task_instance_id", "user_task", ["instance_id"], unique=False)
    op.create_index(
        "ix_user_task_open",
        "user_task",
        [sa.literal_column("due_at nulls last"), "id"],
        unique=False,
        postgresql_where=sa.text("state in ('ready', 'claimed')"),
    )
    op.create_table(
        "buffered_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("correlation", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("variables", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("published_by", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buffered_message")),
    )
    op.create_index("ix_buffered_message_name", "buffered_message", ["name", "expires_at"], unique=False)
    op.create_index(
        "ix_instance_waiting",
        "instance",
        ["waiting"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"waiting": "jsonb_path_ops"},
        postgresql_where=sa.text("waiting <> '[]'::jsonb"),
    )
    op.execute("insert into service_clock (id) values (1)")
    for function in FUNCTIONS:
        op.execute(function)


def downgrade() -> None:
    op.drop_table("buffered_message")
    op.drop_index(
        "ix_user_task_open", table_name="user_task", postgresql_where=sa.text("state in ('ready', 'claimed')")
    )
    op.drop_index("ix_user_task_instance_id", table_name="user_task")
    op.drop_index(
        "ix_user_task_assignee",
        table_name="user_task",
        postgresql_where=sa.text("state in ('ready', 'claimed') and assignee_id is not null"),
    )
    op.drop_table("user_task")
    op.drop_index(op.f("ix_timer_due_at"), table_name="timer")
    op.drop_table("timer")
    op.drop_index("ix_incident_open", table_name="incident", postgresql_where=sa.text("resolved_at is null"))
    op.drop_table("incident")
    op.drop_index("ix_instance_unfinished", table_name="instance", postgresql_where=sa.text("unfinished"))
    op.drop_index("ix_instance_model", table_name="instance")
    op.drop_index("ix_instance_case_no", table_name="instance")
    op.drop_table("instance")
    op.drop_index(op.f("ix_request_docid"), table_name="request")
    op.drop_index(op.f("ix_request_adminid"), table_name="request")
    op.drop_table("request")
    op.drop_index(op.f("ix_payment_ticketid"), table_name="payment")
    op.drop_index(op.f("ix_payment_patientid"), table_name="payment")
    op.drop_table("payment")
    op.drop_index("uq_model_active", table_name="model", postgresql_where=sa.text("active"))
    op.drop_index(op.f("ix_model_deployment_id"), table_name="model")
    op.drop_table("model")
    op.drop_index(op.f("ix_diagnosis_patientid"), table_name="diagnosis")
    op.drop_index(op.f("ix_diagnosis_docid"), table_name="diagnosis")
    op.drop_table("diagnosis")
    op.drop_index(op.f("ix_appointment_patientid"), table_name="appointment")
    op.drop_index("ix_appointment_date", table_name="appointment")
    op.drop_table("appointment")
    op.drop_index(op.f("ix_web_session_login_id"), table_name="web_session")
    op.drop_index(op.f("ix_web_session_expires_at"), table_name="web_session")
    op.drop_table("web_session")
    op.drop_index("ix_patient_name", table_name="patient")
    op.drop_table("patient")
    op.drop_index(op.f("ix_group_member_login_id"), table_name="group_member")
    op.drop_table("group_member")
    op.drop_index("ix_doctor_specialization", table_name="doctor")
    op.drop_table("doctor")
    op.drop_table("deployment")
    op.drop_index("ix_case_event_kind", table_name="case_event", postgresql_where=sa.text("case_no is null"))
    op.drop_index("ix_case_event_case_no", table_name="case_event", postgresql_where=sa.text("case_no is not null"))
    op.drop_table("case_event")
    op.drop_table("administrator")
    op.drop_index(op.f("ix_access_token_login_id"), table_name="access_token")
    op.drop_table("access_token")
    op.drop_table("worker_heartbeat")
    op.drop_table("service_clock")
    op.drop_index("ix_outbox_pending", table_name="outbox", postgresql_where=sa.text("state = 'pending'"))
    op.drop_table("outbox")
    op.drop_table("login")
    op.drop_table("inbox")
    op.drop_table("candidate_group")
    op.execute("drop function dams_now(), outbox_notify(), case_event_is_append_only() cascade")
    op.execute("drop sequence case_number")
