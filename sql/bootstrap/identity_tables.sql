-- Users by other names than their uuid, and database roles that work without being a user.

-- Ordered by C, as the index scan that reads it compares (src/pg/scan.rs), whatever the database's locale.
CREATE TABLE tenancy.subjects (
    subject text COLLATE "C" PRIMARY KEY
        CONSTRAINT subjects_subject_check CHECK (subject <> '' AND octet_length(subject) <= 1024),
    user_id uuid NOT NULL DEFAULT gen_random_uuid()
        CONSTRAINT subjects_user_id_check CHECK (user_id <> '00000000-0000-0000-0000-000000000000'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX subjects_user_id_idx ON tenancy.subjects (user_id);
COMMENT ON TABLE tenancy.subjects IS 'With tenancy.subject_format = mapped: whose a token''s sub is; one that is not here is nobody''s';
COMMENT ON COLUMN tenancy.subjects.subject IS 'The sub as tokens have it: text as it is, a number as it is written canonically';
COMMENT ON COLUMN tenancy.subjects.user_id IS 'The user';
COMMENT ON COLUMN tenancy.subjects.created_at IS 'When it was mapped';

-- By oid, so that a role that is dropped and made again under the same name gets nothing of the old one's.
CREATE TABLE tenancy.database_role_roles (
    db_role regrole NOT NULL,
    role_id uuid NOT NULL,
    role_scope uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
        CONSTRAINT database_role_roles_scope_check CHECK (role_scope = '00000000-0000-0000-0000-000000000000'),
    allowed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (db_role, role_id),
    FOREIGN KEY (role_id, role_scope) REFERENCES tenancy.roles (id, scope_id) ON DELETE CASCADE
);
CREATE INDEX database_role_roles_role_id_idx ON tenancy.database_role_roles (role_id);
COMMENT ON TABLE tenancy.database_role_roles IS 'Which database roles may enter any tenant without being a user, and the application roles they hold there';
COMMENT ON COLUMN tenancy.database_role_roles.db_role IS 'The database role';
COMMENT ON COLUMN tenancy.database_role_roles.role_id IS 'The role it holds, of the application';
COMMENT ON COLUMN tenancy.database_role_roles.role_scope IS 'scope_id of the role: the nil uuid, since it is the application''s';
COMMENT ON COLUMN tenancy.database_role_roles.allowed_at IS 'When it was allowed';

SELECT pg_catalog.pg_extension_config_dump('tenancy.subjects', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.database_role_roles',
    'WHERE db_role IN (SELECT oid FROM pg_catalog.pg_roles)');
