-- Identities that a trusted caller states for its transaction: an application with its own log-in, without tokens. Who may is
-- a matter of EXECUTE, asked by the server itself of whoever calls, within functions of any owner.

CREATE FUNCTION tenancy.set_identity(user_id uuid, tenant uuid DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_set_identity';
REVOKE ALL ON FUNCTION tenancy.set_identity(uuid, uuid) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.set_identity(user_id uuid, tenant uuid) IS 'For trusted callers: the user is this one until the transaction ends, in this tenant if given, and claims are not read. Errors: 42501 not a trusted caller; 22023 no user''s id';

CREATE FUNCTION tenancy.set_identity(subject text, tenant text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_set_identity_by_name';
REVOKE ALL ON FUNCTION tenancy.set_identity(text, text) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.set_identity(subject text, tenant text) IS 'For trusted callers: the same by the subject as a token''s sub would be, the user''s uuid or what tenancy.subjects maps, and the tenant''s id or key. An unknown subject is nobody. Errors: 42501 not a trusted caller; 22023 no uuid, or not 1 to 1024 bytes';

CREATE FUNCTION tenancy.map_subject(subject text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_map_subject';
REVOKE ALL ON FUNCTION tenancy.map_subject(text) FROM PUBLIC;
COMMENT ON FUNCTION tenancy.map_subject(text) IS 'For administrators: the user of a subject, made up if it has none yet; trusted callers may too. Errors: 42501 neither; 22023 not 1 to 1024 bytes, or not ASCII in a database that is not UTF8';

-- One row whoever comes first; at REPEATABLE READ and above a race ends in 40001, and the second try finds it.
CREATE FUNCTION tenancy.user_of_subject(subject text) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_user uuid;
BEGIN
    IF subject IS NULL OR subject = '' OR octet_length(subject) > 1024 THEN
        RAISE EXCEPTION 'subject must have 1 to 1024 bytes' USING ERRCODE = '22023';
    END IF;
    IF getdatabaseencoding() <> 'UTF8' AND octet_length(convert_to(subject, 'UTF8')) <> length(subject) THEN
        RAISE EXCEPTION 'subject must be ASCII in a database of encoding %', getdatabaseencoding() USING ERRCODE = '22023';
    END IF;
    SELECT s.user_id INTO found_user FROM tenancy.subjects s WHERE s.subject = user_of_subject.subject;
    IF NOT FOUND THEN
        INSERT INTO tenancy.subjects (subject) VALUES (user_of_subject.subject)
        ON CONFLICT ON CONSTRAINT subjects_pkey DO NOTHING;
        SELECT s.user_id INTO found_user FROM tenancy.subjects s WHERE s.subject = user_of_subject.subject;
    END IF;
    RETURN found_user;
END
$$;
COMMENT ON FUNCTION tenancy.user_of_subject(text) IS 'Administrators only: what map_subject does, as the role that owns the tables';

CREATE FUNCTION tenancy.is_trusted_caller(db_role name) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
                    WHERE p.oid = 'tenancy.set_identity(uuid, uuid)'::regprocedure AND a.grantee <> p.proowner
                      AND a.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = db_role));
    END;
COMMENT ON FUNCTION tenancy.is_trusted_caller(name) IS 'Administrators only: whether trust_caller was called for the database role';

CREATE FUNCTION tenancy.trust_caller(db_role name) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    IF tenancy.is_trusted_caller(db_role) THEN
        RETURN false;
    END IF;
    EXECUTE format('GRANT EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.set_identity(text, text), tenancy.map_subject(text) TO %I', db_role);
    PERFORM tenancy.note_usage(db_role);
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.trust_caller(name) IS 'Administrators only: lets a database role state who the user of its transaction is, by set_identity, and map subjects. Returns whether it changed. Errors: 42501 neither superuser nor member of the role that owns the tables; 42704 no such role; 22023 PUBLIC';

CREATE FUNCTION tenancy.distrust_caller(db_role name) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    IF NOT tenancy.is_trusted_caller(db_role) THEN
        RETURN false;
    END IF;
    EXECUTE format('REVOKE EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.set_identity(text, text) FROM %I', db_role);
    -- An administrator with BYPASSRLS has this one by enable_role.
    IF NOT (SELECT r.rolbypassrls FROM pg_roles r WHERE r.rolname = db_role) THEN
        EXECUTE format('REVOKE EXECUTE ON FUNCTION tenancy.map_subject(text) FROM %I', db_role);
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.distrust_caller(name) IS 'Administrators only: undoes trust_caller; an identity that is stated already lasts as long as its transaction. Returns whether it changed. Errors: as trust_caller';

CREATE FUNCTION tenancy.note_usage(db_role name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT has_schema_privilege(db_role, 'tenancy', 'USAGE') THEN
        RAISE NOTICE 'database role "%" cannot use schema tenancy yet', db_role USING
            HINT = format('SELECT tenancy.enable_role(%L);', db_role);
    END IF;
END
$$;
COMMENT ON FUNCTION tenancy.note_usage(name) IS 'Administrators only: a NOTICE for a database role that is no application role yet';
