-- What every other file starts from: the extension, and two application roles as PostgREST has them.
CREATE EXTENSION pg_tenancy;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
        CREATE ROLE anon NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        CREATE ROLE authenticated NOLOGIN;
    END IF;
END
$$;
SELECT tenancy.enable_role('anon'), tenancy.enable_role('authenticated');
-- Runs a command as a user (NULL: as the administrator who runs the test), and undoes what failed only.
CREATE SCHEMA test;
CREATE FUNCTION test.attempt(who uuid, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    changed bigint;
    found_detail text; found_hint text; found_constraint text;
BEGIN
    IF who IS NOT NULL THEN
        PERFORM tenancy.act_as(who);
    END IF;
    IF command ~* '^select' THEN
        EXECUTE command INTO answer;
    ELSE
        EXECUTE command;
        GET DIAGNOSTICS changed = ROW_COUNT;
        answer := changed || ' row(s)';
    END IF;
    PERFORM set_config('role', 'none', true), set_config('request.jwt.claims', '', true);
    RETURN coalesce(nullif(answer, ''), 'ok');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS found_detail = PG_EXCEPTION_DETAIL, found_hint = PG_EXCEPTION_HINT, found_constraint = CONSTRAINT_NAME;
    RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || SQLERRM, 'DETAIL ' || nullif(regexp_replace(found_detail, '^Failing row.*', ''), ''), 'HINT ' || nullif(found_hint, ''),
                     'CONSTRAINT ' || nullif(found_constraint, ''));
END
$$;
-- Tries a command as a user and undoes it, whatever came of it. Answers SQLSTATE and message, or what it did.
CREATE FUNCTION test.try(who uuid, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    changed bigint;
BEGIN
    BEGIN
        PERFORM tenancy.act_as(who);
        IF command ~* '^select' THEN
            EXECUTE command INTO answer;
        ELSE
            EXECUTE command;
            GET DIAGNOSTICS changed = ROW_COUNT;
            answer := changed || ' row(s)';
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'P0UND', MESSAGE = coalesce(nullif(answer, ''), 'done');
    EXCEPTION WHEN OTHERS THEN
        RETURN CASE SQLSTATE WHEN 'P0UND' THEN SQLERRM ELSE SQLSTATE || ' ' || SQLERRM END;
    END;
END
$$;
-- For tests of what is used in an hour, a day or a month: waits for the next hour if this one is about to end (in UTC).
CREATE PROCEDURE test.stay_within_the_hour() LANGUAGE plpgsql AS $$
DECLARE
    left_of_it interval := date_trunc('hour', clock_timestamp(), 'UTC') + interval '1 hour' - clock_timestamp();
BEGIN
    IF left_of_it < interval '15 seconds' THEN
        PERFORM pg_sleep_for(left_of_it + interval '0.1 second');
    END IF;
END
$$;
