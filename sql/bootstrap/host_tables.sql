-- Tables about tables of the host's: those its tenants and members are kept in, and those that hold no tenant's data on
-- purpose. attached_tenants and attached_members tell what came from there from what was made by hand.

CREATE TABLE tenancy.attached_tables (
    kind text PRIMARY KEY CONSTRAINT attached_tables_kind_check CHECK (kind IN ('tenants', 'members')),
    relation regclass NOT NULL,
    columns jsonb NOT NULL CONSTRAINT attached_tables_columns_check CHECK (jsonb_typeof(columns) = 'object'),
    roles text[] NOT NULL DEFAULT '{}',
    attached_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.attached_tables IS 'The host''s own tables of tenants and of members, once attach_tenants and attach_members have been called: one row each';
COMMENT ON COLUMN tenancy.attached_tables.kind IS 'tenants or members';
COMMENT ON COLUMN tenancy.attached_tables.relation IS 'The host''s table';
COMMENT ON COLUMN tenancy.attached_tables.columns IS 'Its columns by what they are for: key, name, slug; tenant, user, role, active';
COMMENT ON COLUMN tenancy.attached_tables.roles IS 'Roles that each of its members gets';
COMMENT ON COLUMN tenancy.attached_tables.attached_at IS 'When it was attached';

CREATE TABLE tenancy.attached_tenants (
    tenant_id uuid PRIMARY KEY REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    leaving boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE tenancy.attached_tenants IS 'Tenants that are rows of the attached table of tenants: they go with these';
COMMENT ON COLUMN tenancy.attached_tenants.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.attached_tenants.leaving IS 'Its row is gone, and it goes when the transaction ends';

CREATE TABLE tenancy.attached_members (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    made boolean NOT NULL,
    active boolean NOT NULL,
    role_ids uuid[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.members (tenant_id, user_id) ON DELETE CASCADE
);
CREATE INDEX attached_members_user_id_idx ON tenancy.attached_members (user_id);
COMMENT ON TABLE tenancy.attached_members IS 'Members who are rows of the attached table of members, and what these rows came to';
COMMENT ON COLUMN tenancy.attached_members.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.attached_members.user_id IS 'The member';
COMMENT ON COLUMN tenancy.attached_members.made IS 'Whether he was no member before, and so is none after';
COMMENT ON COLUMN tenancy.attached_members.active IS 'Whether the host''s rows let him in';
COMMENT ON COLUMN tenancy.attached_members.role_ids IS 'The roles granted for these rows, which go with them; what was granted by hand stays';

CREATE TABLE tenancy.reference_tables (
    table_id regclass PRIMARY KEY,
    declared_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.reference_tables IS 'Tables of the host''s that hold no tenant''s data, on purpose: declare_reference_table';
COMMENT ON COLUMN tenancy.reference_tables.table_id IS 'The table';
COMMENT ON COLUMN tenancy.reference_tables.declared_at IS 'When it was declared';

ALTER TABLE tenancy.attached_tables ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.attached_tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.attached_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.reference_tables ENABLE ROW LEVEL SECURITY;

SELECT pg_catalog.pg_extension_config_dump('tenancy.attached_tables', 'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('tenancy.attached_tenants', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.attached_members', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.reference_tables', 'WHERE table_id IN (SELECT oid FROM pg_catalog.pg_class)');
