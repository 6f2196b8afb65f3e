-- What export_tenant wrote of schema tenancy, taken in: COPY tenancy.tenant_import FROM STDIN. A view, so that COPY reads
-- into a function; it keeps nothing, and nobody is granted it.

CREATE VIEW tenancy.tenant_import AS SELECT NULL::text AS relation, NULL::jsonb AS content WHERE false;
COMMENT ON VIEW tenancy.tenant_import IS 'Where a tenant that export_tenant wrote comes in: empty, each row copied in goes where it belongs';
COMMENT ON COLUMN tenancy.tenant_import.relation IS 'The table in schema tenancy';
COMMENT ON COLUMN tenancy.tenant_import.content IS 'Its row; roles of the application by name';

CREATE FUNCTION tenancy.imported_role(name text) RETURNS uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_id uuid;
BEGIN
    SELECT r.id INTO found_id FROM tenancy.roles r WHERE r.tenant_id IS NULL AND r.name = imported_role.name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" does not exist', name USING ERRCODE = '42704',
            DETAIL = 'The tenant that is imported uses a role of the application that is missing here.',
            HINT = 'Create it with tenancy.create_role(), with the permissions it has there.';
    END IF;
    RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.imported_role(text) IS 'Administrators only: the id that a role of the application has in this database; 42704 if it has none';

-- Mapped users are who their subjects say, whatever ids they have there.
CREATE FUNCTION tenancy.imported_user(user_id text, subjects jsonb) RETURNS uuid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids uuid[] := ARRAY(SELECT DISTINCT s.user_id FROM tenancy.subjects s WHERE s.subject = ANY (ARRAY(SELECT jsonb_array_elements_text(subjects))));
BEGIN
    IF cardinality(ids) > 1 THEN
        RAISE EXCEPTION 'a user of the tenant that is imported is several here' USING ERRCODE = '42710',
            DETAIL = format('His subjects are %s.', subjects), HINT = 'One must be all of them in tenancy.subjects.';
    END IF;
    RETURN coalesce(ids[1], user_id::uuid);
END
$$;
COMMENT ON FUNCTION tenancy.imported_user(text, jsonb) IS 'Administrators only: the id that a user with these subjects has in this database, or else that one; 42710 if these are several here';

CREATE FUNCTION tenancy.import_tenant_row() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    content jsonb := NEW.content;
    columns text;
BEGIN
    IF NOT tenancy.is_administrator() THEN
        RAISE EXCEPTION 'permission denied to import a tenant' USING ERRCODE = '42501', HINT = 'Only administrators may.';
    END IF;
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' OR NEW.relation IS NULL OR NEW.relation = 'limits' AND NOT content ? 'tenant_id' OR NEW.relation <> ALL (
        '{tenants,subjects,roles,role_permissions,role_inheritance,members,groups,group_members,group_roles,member_roles,active_tenants,user_profiles,attached_tenants,attached_members,limits,tenant_plans,quotas,usage,usage_periods,quota_events}'::text[]) THEN
        RAISE EXCEPTION 'not a row that export_tenant writes' USING ERRCODE = '22023',
            HINT = 'COPY tenancy.tenant_import takes what copy_sql of table tenancy.tenant_import gave.';
    END IF;
    IF content ? 'subjects' THEN
        content := content || jsonb_build_object('user_id', tenancy.imported_user(content ->> 'user_id', content -> 'subjects'));
    END IF;
    IF content ? 'granted_by_subjects' THEN
        content := content || jsonb_build_object('granted_by', tenancy.imported_user(content ->> 'granted_by', content -> 'granted_by_subjects'));
    END IF;
    CASE NEW.relation
        WHEN 'tenants' THEN
            IF EXISTS (SELECT FROM tenancy.tenants t WHERE t.id::text = content ->> 'id' OR t.key = content ->> 'key') THEN
                RAISE EXCEPTION 'the tenant that is imported is there already, or its key is another''s' USING ERRCODE = '42710',
                    DETAIL = format('It has id %s and %s.', content ->> 'id', coalesce('key ' || (content ->> 'key'), 'no key')),
                    HINT = 'Ids and keys are kept. Delete that tenant with tenancy.delete_tenant_rows() and tenancy.drop_tenant() first.';
            ELSIF EXISTS (SELECT FROM tenancy.tenants t WHERE t.slug = content ->> 'slug') THEN
                RAISE EXCEPTION 'slug "%" is taken', content ->> 'slug' USING ERRCODE = '42710',
                    HINT = 'Change one of the two with UPDATE tenancy.tenants.';
            END IF;
        WHEN 'subjects' THEN
            IF content ? 'named_in' AND content ->> 'user_id' <> NEW.content ->> 'user_id' THEN
                RAISE EXCEPTION 'a user of the tenant that is imported has another id here' USING ERRCODE = '42710',
                    DETAIL = format('He is subject "%s", there %s and here %s. Rows of the tenant name him by the id he has there: %s.',
                                    content ->> 'subject', NEW.content ->> 'user_id', content ->> 'user_id', content ->> 'named_in'),
                    HINT = 'Replace the one by the other in the exported file.';
            END IF;
        WHEN 'members' THEN
            IF content ? 'subjects' AND EXISTS (SELECT FROM tenancy.members m
                                                     WHERE m.tenant_id = (content ->> 'tenant_id')::uuid AND m.user_id = (content ->> 'user_id')::uuid) THEN
                RAISE EXCEPTION 'two users of the tenant that is imported are one here' USING ERRCODE = '42710',
                    DETAIL = format('One of them has subjects %s.', content -> 'subjects');
            END IF;
        WHEN 'role_permissions' THEN
            IF content ->> 'permission' <> 'all' AND right(content ->> 'permission', 2) <> '.*'
               AND NOT EXISTS (SELECT FROM tenancy.permissions p WHERE p.name = content ->> 'permission') THEN
                RAISE EXCEPTION 'permission "%" does not exist', content ->> 'permission' USING ERRCODE = '42704',
                    DETAIL = 'A role of the tenant that is imported holds it.', HINT = 'Create it with tenancy.create_permission().';
            END IF;
        WHEN 'role_inheritance' THEN
            IF content ? 'role' THEN
                content := content || jsonb_build_object('junior_id', tenancy.imported_role(content ->> 'role'));
            END IF;
        WHEN 'group_roles', 'member_roles' THEN
            IF content ? 'role' THEN
                content := content || jsonb_build_object('role_id', tenancy.imported_role(content ->> 'role'));
            END IF;
        WHEN 'active_tenants', 'user_profiles' THEN
            NULL; -- a user's, who may have one here
        WHEN 'attached_tenants' THEN
            IF NOT EXISTS (SELECT FROM tenancy.attached_tables a WHERE a.kind = 'tenants') THEN
                RETURN NULL;
            END IF;
        WHEN 'attached_members' THEN
            IF NOT EXISTS (SELECT FROM tenancy.attached_tables a WHERE a.kind = 'members') THEN
                RETURN NULL;
            END IF;
            content := content || jsonb_build_object('role_ids', ARRAY(
                SELECT tenancy.imported_role(r.name) FROM jsonb_array_elements_text(content -> 'roles') r (name)));
        WHEN 'limits' THEN
            DELETE FROM tenancy.quotas q WHERE q.tenant_id = (content ->> 'tenant_id')::uuid;
            RETURN NEW;
        WHEN 'tenant_plans' THEN
            IF NOT EXISTS (SELECT FROM tenancy.plans p WHERE p.name = content ->> 'plan') THEN
                RAISE EXCEPTION 'plan "%" does not exist', content ->> 'plan' USING ERRCODE = '42704',
                    DETAIL = 'The tenant that is imported has it.', HINT = 'Create it with tenancy.create_plan().';
            END IF;
        WHEN 'quotas', 'usage', 'usage_periods', 'quota_events' THEN
            IF NOT EXISTS (SELECT FROM tenancy.meters m WHERE m.name = content ->> 'meter') THEN
                RAISE EXCEPTION 'meter "%" does not exist', content ->> 'meter' USING ERRCODE = '42704',
                    DETAIL = 'The tenant that is imported has used it, or has a quota of it.', HINT = 'Create it with tenancy.create_meter().';
            END IF;
            -- What counts rows of tables counts them as they arrive, and would have them twice.
            IF NEW.relation IN ('usage', 'usage_periods')
               AND EXISTS (SELECT FROM tenancy.metered_tables f WHERE f.meter = content ->> 'meter') THEN
                RETURN NULL;
            END IF;
        ELSE
            NULL;
    END CASE;
    -- Columns that one of the two versions does not know get their default, or are left out.
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
      FROM pg_attribute a
     WHERE a.attrelid = format('tenancy.%I', NEW.relation)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
       AND content ? a.attname::text;
    IF columns IS NULL THEN
        RAISE EXCEPTION 'not a row that export_tenant writes' USING ERRCODE = '22023', DETAIL = format('It has no column of tenancy.%I.', NEW.relation);
    END IF;
    EXECUTE format('INSERT INTO tenancy.%1$I (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::tenancy.%1$I, $1)%3$s', NEW.relation, columns,
                   CASE WHEN NEW.relation IN ('subjects', 'active_tenants', 'user_profiles') THEN ' ON CONFLICT DO NOTHING' ELSE '' END)
      USING content;
    IF NEW.relation = 'tenants' THEN
        -- Its rows may be more than it may have, and are let in: neither its own limits nor those of a default plan hold yet.
        INSERT INTO tenancy.quotas (tenant_id, meter, period)
        SELECT (content ->> 'id')::uuid, m.name, p FROM tenancy.meters m, unnest('{none,hour,day,month}'::text[]) p WHERE m.kind = 'counter' OR p = 'none';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.import_tenant_row() IS 'Trigger function: puts a row of an exported tenant into its table';
CREATE TRIGGER import INSTEAD OF INSERT ON tenancy.tenant_import FOR EACH ROW EXECUTE FUNCTION tenancy.import_tenant_row();
COMMENT ON TRIGGER import ON tenancy.tenant_import IS 'Puts a row of an exported tenant into its table';
