-- Tables about the host's own users table: where it is, what each user chose, and which users' claims are still to be
-- projected into it. The extension owns no users.

CREATE TABLE tenancy.users_table (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT users_table_singleton_check CHECK (singleton),
    relation regclass NOT NULL,
    id_column text NOT NULL,
    email_column text,
    email_confirmed_column text,
    app_metadata_column text,
    user_metadata_column text,
    profiles boolean NOT NULL DEFAULT false,
    attached_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.users_table IS 'The host''s users table, once attach_users has been called: one row or none';
COMMENT ON COLUMN tenancy.users_table.singleton IS 'Always true: there is one users table';
COMMENT ON COLUMN tenancy.users_table.relation IS 'The table';
COMMENT ON COLUMN tenancy.users_table.id_column IS 'Its column with the user''s id, a uuid';
COMMENT ON COLUMN tenancy.users_table.email_column IS 'Its column with the user''s e-mail address; NULL if it has none';
COMMENT ON COLUMN tenancy.users_table.email_confirmed_column IS 'Its column that tells whether, or since when, the address is confirmed; NULL if it has none';
COMMENT ON COLUMN tenancy.users_table.app_metadata_column IS 'Its jsonb column that claims are projected into; NULL if it has none';
COMMENT ON COLUMN tenancy.users_table.user_metadata_column IS 'Its jsonb column that profiles are copied to; NULL if it has none';
COMMENT ON COLUMN tenancy.users_table.profiles IS 'Whether enable_profiles() was called: each user has a profile';
COMMENT ON COLUMN tenancy.users_table.attached_at IS 'When it was attached';

CREATE TABLE tenancy.active_tenants (
    user_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.members (tenant_id, user_id) ON DELETE CASCADE
);
CREATE INDEX active_tenants_tenant_id_idx ON tenancy.active_tenants (tenant_id, user_id);
COMMENT ON TABLE tenancy.active_tenants IS 'Which tenant a user chose to work in, where neither transaction, request nor token chooses one';
COMMENT ON COLUMN tenancy.active_tenants.user_id IS 'The user';
COMMENT ON COLUMN tenancy.active_tenants.tenant_id IS 'The tenant he chose, of which he is a member';

CREATE TABLE tenancy.claims_queue (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind text NOT NULL CONSTRAINT claims_queue_kind_check CHECK (kind IN ('users', 'role', 'group', 'tenant', 'everybody')),
    object_id uuid,
    user_ids uuid[],
    transaction_id xid8,
    after_user uuid,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT claims_queue_object_check CHECK (
        CASE kind WHEN 'users' THEN user_ids IS NOT NULL AND object_id IS NULL
                  WHEN 'everybody' THEN user_ids IS NULL AND object_id IS NULL
                  ELSE user_ids IS NULL AND object_id IS NOT NULL END)
);
CREATE INDEX claims_queue_transaction_id_idx ON tenancy.claims_queue (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX claims_queue_queued_at_idx ON tenancy.claims_queue (queued_at);
COMMENT ON TABLE tenancy.claims_queue IS 'Users whose claims are still to be projected: sync_claims(batch => …) works it off';
COMMENT ON COLUMN tenancy.claims_queue.id IS 'Key';
COMMENT ON COLUMN tenancy.claims_queue.kind IS 'users: those listed; role: all who hold it; group, tenant: all its members; everybody';
COMMENT ON COLUMN tenancy.claims_queue.object_id IS 'The role, group or tenant';
COMMENT ON COLUMN tenancy.claims_queue.user_ids IS 'The users listed';
COMMENT ON COLUMN tenancy.claims_queue.transaction_id IS 'With tenancy.claims_sync = deferred: the transaction that works it off at its end';
COMMENT ON COLUMN tenancy.claims_queue.after_user IS 'How far it is worked off: the last user done, in the order of ids';
COMMENT ON COLUMN tenancy.claims_queue.queued_at IS 'When it was queued';

CREATE TABLE tenancy.sync_failures (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    what text NOT NULL,
    user_id uuid,
    sqlstate text NOT NULL,
    message text NOT NULL
);
CREATE INDEX sync_failures_user_id_idx ON tenancy.sync_failures (user_id);
COMMENT ON TABLE tenancy.sync_failures IS 'What failed beside a write without stopping it: sync_claims() mends, and deletes what it mended';
COMMENT ON COLUMN tenancy.sync_failures.id IS 'Key';
COMMENT ON COLUMN tenancy.sync_failures.failed_at IS 'When it failed';
COMMENT ON COLUMN tenancy.sync_failures.what IS 'What failed: claims, assignment, profile';
COMMENT ON COLUMN tenancy.sync_failures.user_id IS 'The user it was about; NULL if there were several';
COMMENT ON COLUMN tenancy.sync_failures.sqlstate IS 'SQLSTATE of the error';
COMMENT ON COLUMN tenancy.sync_failures.message IS 'Message of the error';

SELECT pg_catalog.pg_extension_config_dump('tenancy.users_table', 'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('tenancy.active_tenants', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.claims_queue', 'WHERE transaction_id IS NULL');
SELECT pg_catalog.pg_extension_config_dump('tenancy.sync_failures', '');
