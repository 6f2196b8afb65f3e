-- Claims in the users' app metadata: kept by triggers on the tables that decide and on the users table itself
-- (src/projection), queued where that would take too long, and reconciled by sync_claims().

CREATE FUNCTION tenancy.replace_claims(metadata jsonb, claims jsonb) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_replace_claims';
COMMENT ON FUNCTION tenancy.replace_claims(metadata jsonb, claims jsonb) IS 'Administrators only: the metadata with these claims in place of those of ours that it has; other keys, and what is no object, stay as they are';

CREATE FUNCTION tenancy.project_claims() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
    AS 'MODULE_PATHNAME', 'tenancy_project_claims';
REVOKE ALL ON FUNCTION tenancy.project_claims() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.project_claims() IS 'Trigger function: projects the claims of the users that a statement touched, or queues them; never stops the statement';

-- Of a role, group or tenant: whoever is granted it meanwhile waits for us, so we must not wait for his row until Postgres
-- finds that to be a deadlock, after a second by default. Who is not projected in time is queued.
CREATE FUNCTION tenancy.project_holders() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
    AS 'MODULE_PATHNAME', 'tenancy_project_claims';
REVOKE ALL ON FUNCTION tenancy.project_holders() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.project_holders() IS 'Trigger function: the same for tables whose rows lead to users by a role, a group or a tenant';

-- A change of what a role comes to, and a grant of the role, must not miss each other: who projects first would not see the
-- other's row. A grant's foreign key locks the role's row FOR KEY SHARE, so a change of the role locks it, and those of all
-- roles senior to it, FOR UPDATE: before its own foreign key does. The same for groups and tenants. As our owner, for the
-- caller need not be allowed to; after the guards, so that who may not change anything locks nothing.
CREATE FUNCTION tenancy.lock_holders() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    changed jsonb[] := CASE TG_OP WHEN 'INSERT' THEN ARRAY[to_jsonb(NEW)] WHEN 'DELETE' THEN ARRAY[to_jsonb(OLD)]
                                  ELSE ARRAY[to_jsonb(OLD), to_jsonb(NEW)] END;
    ids uuid[] := ARRAY(SELECT DISTINCT (c ->> TG_ARGV[0])::uuid FROM unnest(changed) c);
BEGIN
    IF current_setting('tenancy.claims_sync') <> 'off'
       AND EXISTS (SELECT FROM tenancy.users_table t WHERE t.app_metadata_column IS NOT NULL) THEN
        CASE TG_TABLE_NAME
            WHEN 'tenants' THEN
                PERFORM FROM tenancy.tenants t WHERE t.id = ANY (ids) ORDER BY t.id FOR UPDATE;
            WHEN 'group_roles' THEN
                PERFORM FROM tenancy.groups g WHERE g.id = ANY (ids) ORDER BY g.id FOR UPDATE;
            ELSE
                PERFORM FROM tenancy.roles r
                  WHERE r.id IN (WITH RECURSIVE line (id) AS (
                                     SELECT unnest(ids)
                                     UNION
                                     SELECT i.senior_id FROM line JOIN tenancy.role_inheritance i ON i.junior_id = line.id
                                 ) SELECT line.id FROM line)
                  ORDER BY r.id FOR UPDATE;
        END CASE;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION tenancy.lock_holders() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.lock_holders() IS 'Trigger function: while claims are projected, nobody is granted a role, or joins a group or tenant, that is being changed';
CREATE TRIGGER lock_holders BEFORE INSERT OR UPDATE OR DELETE ON tenancy.role_permissions
    FOR EACH ROW EXECUTE FUNCTION tenancy.lock_holders('role_id');
CREATE TRIGGER lock_holders BEFORE INSERT OR UPDATE OR DELETE ON tenancy.role_inheritance
    FOR EACH ROW EXECUTE FUNCTION tenancy.lock_holders('senior_id');
CREATE TRIGGER lock_holders BEFORE INSERT OR UPDATE OR DELETE ON tenancy.group_roles
    FOR EACH ROW EXECUTE FUNCTION tenancy.lock_holders('group_id');
CREATE TRIGGER lock_holders BEFORE UPDATE OF status ON tenancy.tenants
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION tenancy.lock_holders('id');

-- Who joins a group is granted its roles without a foreign key to them. After the one to the group, which waits for changes
-- of its roles, and before the projection.
CREATE FUNCTION tenancy.lock_roles_of_group() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
    IF current_setting('tenancy.claims_sync') <> 'off'
       AND EXISTS (SELECT FROM tenancy.users_table t WHERE t.app_metadata_column IS NOT NULL) THEN
        PERFORM FROM tenancy.roles r
          WHERE r.id IN (SELECT g.role_id FROM tenancy.group_roles g JOIN new_rows n ON n.group_id = g.group_id)
          ORDER BY r.id FOR KEY SHARE;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.lock_roles_of_group() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.lock_roles_of_group() IS 'Trigger function: while claims are projected, nobody changes a role that somebody is being given by a group';
CREATE TRIGGER lock_roles AFTER INSERT ON tenancy.group_members REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tenancy.lock_roles_of_group();
COMMENT ON TRIGGER lock_roles ON tenancy.group_members IS 'While claims are projected, nobody changes a role that is being given by a group';
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['role_permissions', 'role_inheritance', 'group_roles', 'tenants'] LOOP
        EXECUTE format('COMMENT ON TRIGGER lock_holders ON tenancy.%I IS %L', t,
                       'While claims are projected, nobody is granted what is being changed');
    END LOOP;
END
$$;

-- A lock on our tables that somebody holds for long must not hold up sign-ups.
CREATE FUNCTION tenancy.keep_claims() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
    AS 'MODULE_PATHNAME', 'tenancy_keep_claims';
REVOKE ALL ON FUNCTION tenancy.keep_claims() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.keep_claims() IS 'Trigger function of the users table: whoever writes the app metadata, our keys are what the tables say';

-- They sort after the signal_* triggers. Rows that logical replication or a restore brings come with their users' claims.
DO $$
DECLARE
    t text;
    e record;
BEGIN
    FOREACH t IN ARRAY ARRAY['tenants', 'members', 'permissions', 'role_permissions', 'role_inheritance', 'group_members', 'group_roles',
                             'member_roles', 'operators', 'active_tenants'] LOOP
        FOR e IN SELECT * FROM (VALUES ('insert', 'REFERENCING NEW TABLE AS new_rows'),
                                       ('update', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
                                       ('delete', 'REFERENCING OLD TABLE AS old_rows'),
                                       ('truncate', '')) v (name, tables) LOOP
            -- A new tenant has no members, and what a dropped one had goes by itself.
            CONTINUE WHEN t = 'tenants' AND e.name <> 'update';
            EXECUTE format('CREATE TRIGGER sync_%s AFTER %1$s ON tenancy.%I %s FOR EACH STATEMENT EXECUTE FUNCTION tenancy.%I()',
                           e.name, t, e.tables,
                           CASE WHEN t IN ('tenants', 'permissions', 'role_permissions', 'role_inheritance', 'group_roles') THEN 'project_holders' ELSE 'project_claims' END);
            EXECUTE format('COMMENT ON TRIGGER sync_%s ON tenancy.%I IS %L', e.name, t,
                           'Projects the claims of the users it touches into the users table');
        END LOOP;
    END LOOP;
END
$$;

-- Users that a row of the queue stands for, in the order of their ids, beginning after those done already.
CREATE FUNCTION tenancy.queued_users(queued tenancy.claims_queue, most bigint) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attached tenancy.users_table;
    after_user uuid := coalesce(queued.after_user, tenancy.nil());
BEGIN
    IF queued.kind = 'users' THEN
        RETURN QUERY SELECT DISTINCT u FROM unnest(queued.user_ids) u WHERE u > after_user ORDER BY u LIMIT most;
    ELSIF queued.kind = 'tenant' THEN
        RETURN QUERY SELECT m.user_id FROM tenancy.members m
                      WHERE m.tenant_id = queued.object_id AND m.user_id > after_user ORDER BY m.user_id LIMIT most;
    ELSIF queued.kind = 'group' THEN
        RETURN QUERY SELECT m.user_id FROM tenancy.group_members m
                      WHERE m.group_id = queued.object_id AND m.user_id > after_user ORDER BY m.user_id LIMIT most;
    ELSIF queued.kind = 'role' THEN
        RETURN QUERY
            WITH RECURSIVE line (id) AS (
                SELECT queued.object_id
                UNION
                SELECT i.senior_id FROM line JOIN tenancy.role_inheritance i ON i.junior_id = line.id
            )
            SELECT g.user_id FROM line JOIN tenancy.member_roles g ON g.role_id = line.id WHERE g.user_id > after_user
            UNION
            SELECT m.user_id FROM line JOIN tenancy.group_roles g ON g.role_id = line.id
              JOIN tenancy.group_members m ON m.group_id = g.group_id WHERE m.user_id > after_user
             ORDER BY 1 LIMIT most;
    ELSE
        SELECT t.* INTO attached FROM tenancy.users_table t;
        -- As the table's owner: what his indexes have as constants is computed while Postgres plans.
        RETURN QUERY SELECT u::uuid
                       FROM unnest(tenancy.read_as_owner(attached.relation, format(
                                'SELECT u.%1$I::text FROM %2$s u WHERE u.%1$I > %3$L ORDER BY u.%1$I LIMIT %4$L',
                                attached.id_column, attached.relation, after_user, most))) WITH ORDINALITY found (u, n)
                      ORDER BY n;
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.queued_users(tenancy.claims_queue, bigint) IS 'Administrators only: the next users that a row of the queue stands for';

-- One user's failure is not the others'.
CREATE FUNCTION tenancy.sync_or_record(user_ids uuid[]) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong bigint := 0;
    one uuid;
BEGIN
    BEGIN
        wrong := tenancy.sync_users(user_ids);
        DELETE FROM tenancy.sync_failures f WHERE f.what = 'claims' AND f.user_id = ANY (user_ids);
        RETURN wrong;
    EXCEPTION WHEN OTHERS THEN
        IF cardinality(user_ids) = 1 THEN
            RAISE LOG 'pg_tenancy: claims of user % not projected: % %', user_ids[1], SQLSTATE, SQLERRM;
            DELETE FROM tenancy.sync_failures f WHERE f.what = 'claims' AND f.user_id = user_ids[1];
            PERFORM tenancy.record_failure('claims', user_ids[1], SQLSTATE, SQLERRM);
            RETURN 0;
        END IF;
    END;
    FOREACH one IN ARRAY user_ids LOOP
        wrong := wrong + tenancy.sync_or_record(ARRAY[one]);
    END LOOP;
    RETURN wrong;
END
$$;
COMMENT ON FUNCTION tenancy.sync_or_record(uuid[]) IS 'Administrators only: projects these users'' claims; who fails is recorded in sync_failures. Returns how many were wrong';

-- At the end of a transaction with tenancy.claims_sync = deferred: each user once, however often he was touched. No
-- statement_timeout ends a commit that waits, so it waits for nobody's row longer than this.
CREATE FUNCTION tenancy.sync_transaction() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '2s' AS $$
DECLARE
    most bigint := current_setting('tenancy.claims_sync_limit')::bigint;
    ids uuid[];
BEGIN
    -- By its own row: whoever looks for the transaction's walks over all that the first of these calls deleted.
    IF NOT EXISTS (SELECT FROM tenancy.claims_queue q WHERE q.id = NEW.id AND q.transaction_id = pg_current_xact_id()) THEN
        RETURN NULL;
    END IF;
    BEGIN
        SELECT array_agg(DISTINCT u ORDER BY u) INTO ids
          FROM (SELECT u FROM tenancy.claims_queue q, LATERAL tenancy.queued_users(q, most + 1) u
                 WHERE q.transaction_id = pg_current_xact_id()) found (u);
        IF cardinality(ids) <= most THEN
            PERFORM tenancy.sync_users(ids);
        END IF;
        -- A transaction of one snapshot does not see to whom a role or the like has been granted since: it stays queued.
        IF ids IS NULL OR cardinality(ids) <= most THEN
            DELETE FROM tenancy.claims_queue q WHERE q.transaction_id = pg_current_xact_id()
               AND (q.kind = 'users' OR current_setting('transaction_isolation') = 'read committed');
        END IF;
    EXCEPTION WHEN OTHERS THEN
        RAISE LOG 'pg_tenancy: claims not projected: % %', SQLSTATE, SQLERRM;
        PERFORM tenancy.record_failure('claims', NULL, SQLSTATE, SQLERRM);
    END;
    UPDATE tenancy.claims_queue q SET transaction_id = NULL WHERE q.transaction_id = pg_current_xact_id();
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tenancy.sync_transaction() FROM PUBLIC;
COMMENT ON FUNCTION tenancy.sync_transaction() IS 'Trigger function: projects, at the end of a transaction, the claims of the users it touched';
CREATE CONSTRAINT TRIGGER sync_transaction AFTER INSERT ON tenancy.claims_queue DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.transaction_id IS NOT NULL) EXECUTE FUNCTION tenancy.sync_transaction();
COMMENT ON TRIGGER sync_transaction ON tenancy.claims_queue IS 'With tenancy.claims_sync = deferred: projects at the end of the transaction';

-- The queue, oldest first, for at most so many users; then those who failed before. Rows that another session works off
-- are left to it.
CREATE FUNCTION tenancy.sync_queue(batch bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rest bigint := batch;
    wrong bigint := 0;
    queued tenancy.claims_queue;
    ids uuid[];
    started timestamptz := clock_timestamp();
BEGIN
    WHILE rest > 0 LOOP
        SELECT q.* INTO queued FROM tenancy.claims_queue q WHERE q.transaction_id IS NULL
         ORDER BY q.queued_at, q.id LIMIT 1 FOR UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        ids := ARRAY(SELECT tenancy.queued_users(queued, rest));
        wrong := wrong + tenancy.sync_or_record(ids);
        IF cardinality(ids) < rest THEN
            DELETE FROM tenancy.claims_queue q WHERE q.id = queued.id;
        ELSE
            UPDATE tenancy.claims_queue q SET after_user = ids[cardinality(ids)] WHERE q.id = queued.id;
        END IF;
        -- An empty row of the queue is work too, or a long queue of them would not end in time.
        rest := rest - greatest(cardinality(ids), 1);
    END LOOP;
    IF rest > 0 THEN
        ids := ARRAY(SELECT DISTINCT f.user_id FROM tenancy.sync_failures f
                      WHERE f.what = 'claims' AND f.user_id IS NOT NULL AND f.failed_at < started LIMIT rest);
        wrong := wrong + tenancy.sync_or_record(ids);
        -- Whose failures these were was queued, and is done.
        DELETE FROM tenancy.sync_failures f WHERE f.what = 'claims' AND f.user_id IS NULL AND f.failed_at < started;
    END IF;
    RETURN wrong;
END
$$;
COMMENT ON FUNCTION tenancy.sync_queue(bigint) IS 'Administrators only: projects the claims of at most so many queued users. Returns how many were wrong';

-- Every user, a thousand at a time; only those whose claims are wrong are locked. Read as the table's owner, id and metadata in
-- one text, and compared here, for he may call nothing of ours.
CREATE FUNCTION tenancy.sync_everybody(attached tenancy.users_table) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong bigint := 0;
    last uuid := tenancy.nil();
    lines text[];
    mistaken uuid[];
BEGIN
    DELETE FROM tenancy.claims_queue q WHERE q.transaction_id IS NULL;
    DELETE FROM tenancy.sync_failures f WHERE f.what = 'claims';
    LOOP
        lines := tenancy.read_as_owner(attached.relation, format(
            'SELECT concat(u.%1$I, u.%2$I) FROM %3$s u WHERE u.%1$I > %4$L ORDER BY u.%1$I LIMIT 1000',
            attached.id_column, attached.app_metadata_column, attached.relation, last));
        EXIT WHEN cardinality(lines) = 0;
        last := left(lines[cardinality(lines)], 36)::uuid;
        SELECT array_agg(p.user_id) INTO mistaken
          FROM tenancy.projected_claims(ARRAY(SELECT left(l, 36)::uuid FROM unnest(lines) l)) p
          JOIN (SELECT left(l, 36)::uuid, nullif(substr(l, 37), '')::jsonb FROM unnest(lines) l) u (id, metadata) ON u.id = p.user_id
         WHERE u.metadata IS DISTINCT FROM tenancy.replace_claims(u.metadata, p.claims);
        IF mistaken IS NOT NULL THEN
            wrong := wrong + tenancy.sync_or_record(mistaken);
        END IF;
    END LOOP;
    RETURN wrong;
END
$$;
COMMENT ON FUNCTION tenancy.sync_everybody(tenancy.users_table) IS 'Administrators only: projects the claims of all users. Returns how many were wrong';

-- Writes the host's table as our owner, for an administrator who may not, such as Supabase's service_role.
CREATE FUNCTION tenancy.sync_claims(user_id uuid DEFAULT NULL, batch bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    attached tenancy.users_table;
BEGIN
    IF NOT tenancy.caller_is_administrator() THEN
        RAISE EXCEPTION 'permission denied to synchronise claims' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF batch <= 0 OR batch IS NOT NULL AND user_id IS NOT NULL THEN
        RAISE EXCEPTION 'batch must be greater than zero, and not given with a user' USING ERRCODE = '22023';
    END IF;
    SELECT t.* INTO attached FROM tenancy.users_table t;
    IF attached.app_metadata_column IS NULL OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = attached.relation) THEN
        RAISE EXCEPTION 'there is no column to project claims into' USING ERRCODE = '55000',
            HINT = 'Attach a users table that has one with tenancy.attach_users().';
    END IF;
    PERFORM tenancy.hold_users_table();
    IF user_id IS NOT NULL THEN
        RETURN tenancy.sync_or_record(ARRAY[user_id]);
    ELSIF batch IS NOT NULL THEN
        RETURN tenancy.sync_queue(batch);
    END IF;
    RETURN tenancy.sync_everybody(attached);
END
$$;
REVOKE ALL ON FUNCTION tenancy.sync_claims(uuid, bigint) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.sync_claims(uuid, bigint) IS 'For administrators: makes the claims in the users'' app metadata equal to the tables: of one user; of at most batch users of those queued; of everybody. Returns how many were wrong. Errors: 42501 not an administrator; 22023 bad batch; 55000 no column to project into';

-- The auth server waits two seconds for it, and then there is no login.
CREATE FUNCTION tenancy.custom_access_token_hook(event jsonb) RETURNS jsonb
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off SET lock_timeout = '500ms'
    AS 'MODULE_PATHNAME', 'tenancy_custom_access_token_hook';
REVOKE ALL ON FUNCTION tenancy.custom_access_token_hook(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.custom_access_token_hook(event jsonb) IS 'Administrators only: for the auth server''s role. Adds tenant_id, perms, tenants and tenant_access to the app_metadata of the token that is about to be issued, and user_permissions if tenancy.token_user_permissions is on; what else is in the event stays as it is. On any failure the event comes back as it was, and the log says why';

CREATE FUNCTION tenancy.storage_tenant(name text) RETURNS uuid
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF COST 1.1 AS 'MODULE_PATHNAME', 'tenancy_storage_tenant';
COMMENT ON FUNCTION tenancy.storage_tenant(name text) IS 'The tenant that the first part of an object''s path names, as in <tenant>/invoices/1.pdf; NULL if it is no uuid';
