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
                    WHERE p.oid IN ('tenancy.set_identity(uuid, uuid)'::regprocedure, 'tenancy.set_identity(text, text)'::regprocedure)
                      AND a.grantee <> p.proowner AND a.grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = db_role));
    END;
COMMENT ON FUNCTION tenancy.is_trusted_caller(name) IS 'Administrators only: whether set_identity, in either form, was granted to the database role itself, as trust_caller does';

CREATE FUNCTION tenancy.trust_caller(db_role name) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    IF (SELECT count(DISTINCT p.oid) = 3 FROM pg_proc p, aclexplode(p.proacl) a
         WHERE p.oid IN ('tenancy.set_identity(uuid, uuid)'::regprocedure, 'tenancy.set_identity(text, text)'::regprocedure, 'tenancy.map_subject(text)'::regprocedure)
           AND a.grantee = quote_ident(db_role)::regrole AND a.grantor = p.proowner) THEN
        RETURN false;
    END IF;
    EXECUTE format('GRANT EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.set_identity(text, text), tenancy.map_subject(text) TO %I', db_role);
    PERFORM tenancy.note_usage(db_role);
    RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy.trust_caller(name) IS 'Administrators only: lets a database role state who the user of its transaction is, by set_identity, and map subjects. Returns whether it changed. Errors: 42501 neither superuser nor member of the role that owns the tables; 42704 no such role; 22023 PUBLIC';

-- Asks in the end what the server will ask, so that nobody is told a role was distrusted that is trusted in another way.
CREATE FUNCTION tenancy.distrust_caller(db_role name) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stating regprocedure[] := '{"tenancy.set_identity(uuid, uuid)","tenancy.set_identity(text, text)"}';
    functions regprocedure[] := stating || 'tenancy.map_subject(text)'::regprocedure;
    owner oid := (SELECT p.proowner FROM pg_proc p WHERE p.oid = stating[1]);
    role_id oid;
    trusted boolean;
    source record;
BEGIN
    PERFORM tenancy.check_database_role(db_role);
    role_id := quote_ident(db_role)::regrole;
    IF pg_has_role(role_id, owner, 'USAGE') THEN
        RAISE EXCEPTION 'database role "%" can still state identities', db_role USING ERRCODE = '55000',
            DETAIL = format('It is a superuser or a member of role "%s", which owns set_identity().', pg_get_userbyid(owner)),
            HINT = 'Take that from it first.';
    END IF;
    -- An administrator with BYPASSRLS maps subjects by enable_role.
    IF (SELECT r.rolbypassrls FROM pg_roles r WHERE r.oid = role_id) THEN
        functions := stating;
    END IF;
    trusted := EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a WHERE p.oid = ANY (functions) AND a.grantee = role_id);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I CASCADE', array_to_string(functions, ', '), db_role);
    IF NOT (SELECT bool_or(has_function_privilege(role_id, f, 'EXECUTE')) FROM unnest(stating) f) THEN
        RETURN trusted;
    END IF;
    SELECT a.grantee, pg_get_userbyid(a.grantee) AS through, pg_get_userbyid(a.grantor) AS grantor INTO source
      FROM pg_proc p, aclexplode(p.proacl) a
     WHERE p.oid = ANY (stating) AND (a.grantee = 0 OR pg_has_role(role_id, a.grantee, 'USAGE'))
     ORDER BY a.grantee = role_id DESC, a.grantee = 0 DESC, 2, 3 LIMIT 1;
    RAISE EXCEPTION 'database role "%" can still state identities', db_role USING ERRCODE = '55000',
        DETAIL = CASE source.grantee WHEN role_id THEN format('EXECUTE on set_identity() was granted to it by role "%s".', source.grantor)
                                     WHEN 0 THEN 'EXECUTE on set_identity() is granted to PUBLIC.'
                                     ELSE format('It is a member of role "%s", which may.', source.through) END,
        HINT = CASE source.grantee WHEN role_id THEN format('SELECT tenancy.distrust_caller(%L) distrusts both.', source.grantor)
                                   WHEN 0 THEN 'REVOKE EXECUTE ON FUNCTION tenancy.set_identity(uuid, uuid), tenancy.set_identity(text, text) FROM PUBLIC;'
                                   ELSE format('REVOKE %I FROM %I, or SELECT tenancy.distrust_caller(%L).', source.through, db_role, source.through) END;
END
$$;
COMMENT ON FUNCTION tenancy.distrust_caller(name) IS 'Administrators only: undoes trust_caller, also for transactions that are open, and for whom the role itself let in; an identity that is stated already lasts as long as its transaction. Returns whether it changed. Errors: as trust_caller; 55000 the role still may, by another''s grant or as a member of another role';

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
