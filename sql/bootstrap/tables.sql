-- The tables. Every reference that belongs to a tenant is a composite foreign key with the tenant in it, so
-- that nothing of another tenant can be named. Roles are referenced with their scope: the tenant that owns
-- the role, or the nil uuid for a role of the application.

DO $$
DECLARE
    found text;
BEGIN
    SELECT pg_catalog.pg_get_userbyid(n.nspowner) INTO found
      FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
     WHERE n.nspname = 'tenancy' AND r.rolname <> current_user AND NOT r.rolsuper;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'schema "tenancy" belongs to role "%"', found USING
            ERRCODE = '55000',
            HINT = 'Its owner could replace what the extension puts there. Drop or rename the schema, then run CREATE EXTENSION again.';
    END IF;
    SELECT pg_catalog.string_agg(o.name, ', ' ORDER BY o.name) INTO found FROM (
        SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace
        UNION ALL
        SELECT p.proname::text FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace
        UNION ALL
        SELECT t.typname::text FROM pg_catalog.pg_type t
         WHERE t.typnamespace = 'tenancy'::regnamespace AND t.typrelid = 0 AND t.typelem = 0
    ) o (name);
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'schema "tenancy" is not empty' USING
            ERRCODE = '55000',
            DETAIL = 'It holds ' || pg_catalog.left(found, 200) || '.',
            HINT = 'Drop or rename the schema, then run CREATE EXTENSION again.';
    END IF;
END
$$;

COMMENT ON SCHEMA tenancy IS 'pg_tenancy: tenants, members, groups, roles, permissions, and the functions that policies call';

CREATE TABLE tenancy.tenants (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid()
        CONSTRAINT tenants_id_check CHECK (id <> '00000000-0000-0000-0000-000000000000'),
    key text UNIQUE
        CONSTRAINT tenants_key_check CHECK (key <> '' AND length(key) <= 200),
    -- Not generated: with triggers before updates, as there are here, any update would then lock the row against foreign
    -- keys, so that nobody could insert for the tenant until it ends.
    key_number bigint UNIQUE
        CONSTRAINT tenants_key_number_check CHECK (key_number IS NOT DISTINCT FROM
            CASE WHEN key ~ '^(0|-?[1-9][0-9]{0,18})$' THEN
                CASE WHEN key::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN key::bigint END
            END),
    slug text NOT NULL UNIQUE
        CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    name text NOT NULL CONSTRAINT tenants_name_check CHECK (name <> '' AND length(name) <= 200),
    status text NOT NULL DEFAULT 'active'
        CONSTRAINT tenants_status_check CHECK (status IN ('active', 'read_only', 'suspended', 'archived')),
    metadata jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT tenants_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
    email_domains text[] NOT NULL DEFAULT '{}',
    email_pattern text,
    default_roles text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenants_key_id_check
        CHECK (CASE WHEN regexp_replace(key, '^\{(.*)\}$', '\1') ~ '^([0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}$' THEN key::uuid = id ELSE true END)
);
COMMENT ON TABLE tenancy.tenants IS 'Tenants: the organisations, workspaces or accounts whose data is kept apart';
COMMENT ON COLUMN tenancy.tenants.id IS 'What protected tables refer to';
COMMENT ON COLUMN tenancy.tenants.key IS 'The key the host application uses, if it has one of its own, as text. One that can be read as a uuid, in whatever form, must be the tenant''s own id, so that a text names one tenant';
COMMENT ON COLUMN tenancy.tenants.key_number IS 'Filled in by a trigger: the key as a number, if it is one as Postgres writes a bigint: what columns of type bigint and integer refer to';
COMMENT ON COLUMN tenancy.tenants.slug IS 'Short name, 1 to 63 of a-z, 0-9 and dash, no dash at the ends';
COMMENT ON COLUMN tenancy.tenants.name IS 'Name shown to people';
COMMENT ON COLUMN tenancy.tenants.status IS 'active; read_only: only permissions named *.read hold; suspended: every check denies; archived: as suspended, and only operators see it';
COMMENT ON COLUMN tenancy.tenants.metadata IS 'The application''s own attributes, a JSON object';
COMMENT ON COLUMN tenancy.tenants.email_domains IS 'Whoever signs up with a confirmed address of one of these becomes a member; lower case';
COMMENT ON COLUMN tenancy.tenants.email_pattern IS 'The same for addresses that fit this regular expression as a whole, case aside';
COMMENT ON COLUMN tenancy.tenants.default_roles IS 'Names of the roles that such members get, of the application or the tenant''s own';
COMMENT ON COLUMN tenancy.tenants.created_at IS 'When the tenant was created';
COMMENT ON COLUMN tenancy.tenants.updated_at IS 'When this row last changed';

CREATE TABLE tenancy.members (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    user_id uuid NOT NULL
        CONSTRAINT members_user_id_check CHECK (user_id <> '00000000-0000-0000-0000-000000000000'),
    status text NOT NULL DEFAULT 'active'
        CONSTRAINT members_status_check CHECK (status IN ('active', 'suspended')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX members_user_id_idx ON tenancy.members (user_id, tenant_id);
COMMENT ON TABLE tenancy.members IS 'Which users belong to which tenants; a user may belong to many';
COMMENT ON COLUMN tenancy.members.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.members.user_id IS 'The user: the sub of his tokens';
COMMENT ON COLUMN tenancy.members.status IS 'active, or suspended: keeps his grants but holds none of them';
COMMENT ON COLUMN tenancy.members.created_at IS 'When the user became a member';

CREATE TABLE tenancy.permissions (
    name text PRIMARY KEY
        CONSTRAINT permissions_name_check
        CHECK (name ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$' AND name <> 'all' AND length(name) <= 200),
    description text,
    scope text NOT NULL DEFAULT 'tenant'
        CONSTRAINT permissions_scope_check CHECK (scope IN ('tenant', 'platform')),
    builtin boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.permissions IS 'The permissions there are; a name that is not registered is held by nobody';
COMMENT ON COLUMN tenancy.permissions.name IS 'resource.action, as in docs.read';
COMMENT ON COLUMN tenancy.permissions.description IS 'What it lets its holder do';
COMMENT ON COLUMN tenancy.permissions.scope IS 'tenant, or platform: no wildcard matches it';
COMMENT ON COLUMN tenancy.permissions.builtin IS 'Shipped with the extension: immutable and not dumped';
COMMENT ON COLUMN tenancy.permissions.created_at IS 'When it was registered';

CREATE TABLE tenancy.roles (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    scope_id uuid NOT NULL
        GENERATED ALWAYS AS (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'::uuid)) STORED,
    name text NOT NULL
        CONSTRAINT roles_name_check CHECK (name ~ '^[^[:cntrl:][:space:]]([^[:cntrl:]]{0,61}[^[:cntrl:][:space:]])?$'),
    description text,
    builtin boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (scope_id, name),
    UNIQUE (id, scope_id)
);
CREATE INDEX roles_tenant_id_idx ON tenancy.roles (tenant_id) WHERE tenant_id IS NOT NULL;
CREATE INDEX roles_name_idx ON tenancy.roles (name);
COMMENT ON TABLE tenancy.roles IS 'Roles: named sets of permissions, of the application or of one tenant';
COMMENT ON COLUMN tenancy.roles.id IS 'What grants refer to';
COMMENT ON COLUMN tenancy.roles.tenant_id IS 'NULL for a role of the application, usable in every tenant; else the only tenant it is usable in';
COMMENT ON COLUMN tenancy.roles.scope_id IS 'tenant_id, or the nil uuid: the part of the key that foreign keys carry';
COMMENT ON COLUMN tenancy.roles.name IS 'Unique within its tenant, and never an application role''s name in a tenant, 1 to 63 characters';
COMMENT ON COLUMN tenancy.roles.description IS 'What its holders do';
COMMENT ON COLUMN tenancy.roles.builtin IS 'Shipped with the extension: immutable and not dumped';
COMMENT ON COLUMN tenancy.roles.created_at IS 'When the role was created';

CREATE TABLE tenancy.role_permissions (
    role_id uuid NOT NULL REFERENCES tenancy.roles (id) ON DELETE CASCADE,
    permission text NOT NULL
        CONSTRAINT role_permissions_permission_check
        CHECK (permission ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?$' AND permission <> 'all.*'),
    registered text REFERENCES tenancy.permissions (name)
        GENERATED ALWAYS AS (CASE WHEN permission = 'all' OR right(permission, 2) = '.*' THEN NULL ELSE permission END) STORED,
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (role_id, permission)
);
CREATE INDEX role_permissions_registered_idx ON tenancy.role_permissions (registered);
COMMENT ON TABLE tenancy.role_permissions IS 'Which permissions a role holds';
COMMENT ON COLUMN tenancy.role_permissions.role_id IS 'The role';
COMMENT ON COLUMN tenancy.role_permissions.permission IS 'A registered permission, all, or a wildcard such as docs.*';
COMMENT ON COLUMN tenancy.role_permissions.registered IS 'The permission again where it is no wildcard, for the foreign key';
COMMENT ON COLUMN tenancy.role_permissions.granted_at IS 'When it was granted';

CREATE TABLE tenancy.role_inheritance (
    senior_id uuid NOT NULL,
    senior_scope uuid NOT NULL,
    junior_id uuid NOT NULL,
    junior_scope uuid NOT NULL,
    PRIMARY KEY (senior_id, junior_id),
    FOREIGN KEY (senior_id, senior_scope) REFERENCES tenancy.roles (id, scope_id) ON DELETE CASCADE,
    FOREIGN KEY (junior_id, junior_scope) REFERENCES tenancy.roles (id, scope_id) ON DELETE CASCADE,
    CONSTRAINT role_inheritance_itself_check CHECK (senior_id <> junior_id),
    CONSTRAINT role_inheritance_scope_check
        CHECK (junior_scope IN (senior_scope, '00000000-0000-0000-0000-000000000000'))
);
CREATE INDEX role_inheritance_junior_id_idx ON tenancy.role_inheritance (junior_id);
COMMENT ON TABLE tenancy.role_inheritance IS 'Role hierarchy: a senior role holds all that its junior roles hold';
COMMENT ON COLUMN tenancy.role_inheritance.senior_id IS 'The role that inherits';
COMMENT ON COLUMN tenancy.role_inheritance.senior_scope IS 'scope_id of the senior role, filled in by a trigger';
COMMENT ON COLUMN tenancy.role_inheritance.junior_id IS 'The role inherited: of the same tenant, or of the application';
COMMENT ON COLUMN tenancy.role_inheritance.junior_scope IS 'scope_id of the junior role, filled in by a trigger';

CREATE TABLE tenancy.groups (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    name text NOT NULL
        CONSTRAINT groups_name_check CHECK (name ~ '^[^[:cntrl:][:space:]]([^[:cntrl:]]{0,61}[^[:cntrl:][:space:]])?$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, id)
);
COMMENT ON TABLE tenancy.groups IS 'Teams inside a tenant; a group gets roles, never permissions';
COMMENT ON COLUMN tenancy.groups.id IS 'What memberships refer to';
COMMENT ON COLUMN tenancy.groups.tenant_id IS 'The tenant';
COMMENT ON COLUMN tenancy.groups.name IS 'Unique within the tenant, 1 to 63 characters';
COMMENT ON COLUMN tenancy.groups.created_at IS 'When the group was created';

CREATE TABLE tenancy.group_members (
    tenant_id uuid NOT NULL,
    group_id uuid NOT NULL,
    user_id uuid NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_id, user_id),
    FOREIGN KEY (tenant_id, group_id) REFERENCES tenancy.groups (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.members (tenant_id, user_id) ON DELETE CASCADE
);
CREATE INDEX group_members_user_id_idx ON tenancy.group_members (user_id, tenant_id);
COMMENT ON TABLE tenancy.group_members IS 'Which members are in which group';
COMMENT ON COLUMN tenancy.group_members.tenant_id IS 'The tenant of both';
COMMENT ON COLUMN tenancy.group_members.group_id IS 'The group';
COMMENT ON COLUMN tenancy.group_members.user_id IS 'The member';
COMMENT ON COLUMN tenancy.group_members.added_at IS 'When he was added';

CREATE TABLE tenancy.group_roles (
    tenant_id uuid NOT NULL,
    group_id uuid NOT NULL,
    role_id uuid NOT NULL,
    role_scope uuid NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_id, role_id),
    FOREIGN KEY (tenant_id, group_id) REFERENCES tenancy.groups (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (role_id, role_scope) REFERENCES tenancy.roles (id, scope_id) ON DELETE CASCADE,
    CONSTRAINT group_roles_scope_check
        CHECK (role_scope IN (tenant_id, '00000000-0000-0000-0000-000000000000'))
);
CREATE INDEX group_roles_role_id_idx ON tenancy.group_roles (role_id);
COMMENT ON TABLE tenancy.group_roles IS 'Which roles a group''s members hold';
COMMENT ON COLUMN tenancy.group_roles.tenant_id IS 'The group''s tenant';
COMMENT ON COLUMN tenancy.group_roles.group_id IS 'The group';
COMMENT ON COLUMN tenancy.group_roles.role_id IS 'The role: of the same tenant, or of the application';
COMMENT ON COLUMN tenancy.group_roles.role_scope IS 'scope_id of the role, filled in by a trigger';
COMMENT ON COLUMN tenancy.group_roles.granted_at IS 'When it was granted';

CREATE TABLE tenancy.member_roles (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role_id uuid NOT NULL,
    role_scope uuid NOT NULL,
    expires_at timestamptz,
    granted_by uuid,
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id, role_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.members (tenant_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (role_id, role_scope) REFERENCES tenancy.roles (id, scope_id) ON DELETE CASCADE,
    CONSTRAINT member_roles_scope_check
        CHECK (role_scope IN (tenant_id, '00000000-0000-0000-0000-000000000000'))
);
CREATE INDEX member_roles_user_id_idx ON tenancy.member_roles (user_id, tenant_id);
CREATE INDEX member_roles_role_id_idx ON tenancy.member_roles (role_id);
COMMENT ON TABLE tenancy.member_roles IS 'Roles granted to members directly';
COMMENT ON COLUMN tenancy.member_roles.tenant_id IS 'The tenant it is granted in';
COMMENT ON COLUMN tenancy.member_roles.user_id IS 'The member';
COMMENT ON COLUMN tenancy.member_roles.role_id IS 'The role: of the same tenant, or of the application';
COMMENT ON COLUMN tenancy.member_roles.role_scope IS 'scope_id of the role, filled in by a trigger';
COMMENT ON COLUMN tenancy.member_roles.expires_at IS 'When the grant ends by itself; NULL is never';
COMMENT ON COLUMN tenancy.member_roles.granted_by IS 'The user who granted it; NULL if an administrator without identity did';
COMMENT ON COLUMN tenancy.member_roles.granted_at IS 'When it was granted';

CREATE TABLE tenancy.operators (
    user_id uuid PRIMARY KEY
        CONSTRAINT operators_user_id_check CHECK (user_id <> '00000000-0000-0000-0000-000000000000'),
    access text NOT NULL CONSTRAINT operators_access_check CHECK (access IN ('read', 'write')),
    expires_at timestamptz,
    reason text,
    granted_by uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.operators IS 'Platform staff: may see (read) or also create and edit (write) tenants and operators; their data only in tables protected with operators => true';
COMMENT ON COLUMN tenancy.operators.user_id IS 'The user';
COMMENT ON COLUMN tenancy.operators.access IS 'read or write';
COMMENT ON COLUMN tenancy.operators.expires_at IS 'When it ends by itself; NULL is never';
COMMENT ON COLUMN tenancy.operators.reason IS 'Why he has it';
COMMENT ON COLUMN tenancy.operators.granted_by IS 'The user who granted it last; NULL if an administrator without identity did';
COMMENT ON COLUMN tenancy.operators.created_at IS 'When he first got it';

CREATE TABLE tenancy.protected_tables (
    table_id regclass PRIMARY KEY,
    root_id regclass NOT NULL,
    options jsonb NOT NULL DEFAULT '{}',
    undo jsonb NOT NULL DEFAULT '{}',
    protected_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.protected_tables IS 'What protect_table did: one row for each table, partition and child it covers';
COMMENT ON COLUMN tenancy.protected_tables.table_id IS 'The table';
COMMENT ON COLUMN tenancy.protected_tables.root_id IS 'The table named in the call: itself, or the parent it was covered for';
COMMENT ON COLUMN tenancy.protected_tables.options IS 'The options of the call';
COMMENT ON COLUMN tenancy.protected_tables.undo IS 'What unprotect_table puts back';
COMMENT ON COLUMN tenancy.protected_tables.protected_at IS 'When it was protected';

CREATE TABLE tenancy.cache_signal ();
COMMENT ON TABLE tenancy.cache_signal IS 'Empty for ever: invalidating this relation tells every backend that grants changed';

CREATE TABLE tenancy.role_signal ();
COMMENT ON TABLE tenancy.role_signal IS 'Empty for ever: invalidating this relation tells every backend that roles changed, and what they come to';

-- Random ids scatter over the index; time-ordered ones do not, where the server can make them.
DO $$
DECLARE
    t text;
BEGIN
    IF to_regproc('pg_catalog.uuidv7') IS NOT NULL THEN
        FOREACH t IN ARRAY ARRAY['tenants', 'roles', 'groups'] LOOP
            EXECUTE format('ALTER TABLE tenancy.%I ALTER COLUMN id SET DEFAULT pg_catalog.uuidv7()', t);
        END LOOP;
    END IF;
END
$$;

SELECT pg_catalog.pg_extension_config_dump('tenancy.tenants', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.members', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.permissions', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('tenancy.roles', 'WHERE NOT builtin');
SELECT pg_catalog.pg_extension_config_dump('tenancy.role_permissions',
    $$WHERE role_id NOT IN (SELECT id FROM tenancy.roles WHERE builtin)$$);
SELECT pg_catalog.pg_extension_config_dump('tenancy.role_inheritance', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.groups', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.group_members', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.group_roles', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.member_roles', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.operators', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.protected_tables',
    'WHERE table_id IN (SELECT oid FROM pg_catalog.pg_class)');
