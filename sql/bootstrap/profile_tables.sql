-- Public profiles of users, optional (enable_profiles). Values that a restore may find changed in the world, such as
-- time zones, are checked when they are set (guard_profile) and not by constraints.

COMMENT ON FUNCTION tenancy.is_time_zone(text) IS 'Whether pg_timezone_names has the name, which a backend reads once';

CREATE FUNCTION tenancy.is_language_tag(tag text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    RETURN length(tag) <= 64
       AND tag COLLATE "C" ~ '^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[a-wyz0-9](-[A-Za-z0-9]{2,8})+)*(-x(-[A-Za-z0-9]{1,8})+)?$';
COMMENT ON FUNCTION tenancy.is_language_tag(text) IS 'Whether a text has the shape of a BCP 47 language tag, in its usual case: en, en-US, zh-Hant-TW';

CREATE FUNCTION tenancy.is_web_address(address text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    RETURN length(address) <= 2000 AND address COLLATE "C" ~ '^https?://[^[:space:][:cntrl:]<>"]+$';
COMMENT ON FUNCTION tenancy.is_web_address(text) IS 'Whether a text is an http or https address, and so no script';

-- A line of text that a person may be called by or has.
CREATE FUNCTION tenancy.is_profile_text(line text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    RETURN length(line) BETWEEN 1 AND 200 AND line !~ '[[:cntrl:]]';
COMMENT ON FUNCTION tenancy.is_profile_text(text) IS 'Whether a text is one line of 1 to 200 characters';

CREATE TABLE tenancy.user_profiles (
    user_id uuid PRIMARY KEY
        CONSTRAINT user_profiles_user_id_check CHECK (user_id <> '00000000-0000-0000-0000-000000000000'),
    first_name text CONSTRAINT user_profiles_first_name_check CHECK (tenancy.is_profile_text(first_name)),
    last_name text CONSTRAINT user_profiles_last_name_check CHECK (tenancy.is_profile_text(last_name)),
    display_name text CONSTRAINT user_profiles_display_name_check CHECK (tenancy.is_profile_text(display_name)),
    salutation text CONSTRAINT user_profiles_salutation_check CHECK (tenancy.is_profile_text(salutation)),
    title text CONSTRAINT user_profiles_title_check CHECK (tenancy.is_profile_text(title)),
    avatar_url text CONSTRAINT user_profiles_avatar_url_check CHECK (tenancy.is_web_address(avatar_url)),
    website_url text CONSTRAINT user_profiles_website_url_check CHECK (tenancy.is_web_address(website_url)),
    time_zone text NOT NULL DEFAULT 'UTC',
    language text NOT NULL DEFAULT 'en'
        CONSTRAINT user_profiles_language_check CHECK (tenancy.is_language_tag(language)),
    birthday_date date,
    phone text CONSTRAINT user_profiles_phone_check CHECK (tenancy.is_profile_text(phone)),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenancy.user_profiles IS 'Public profiles, seen by who shares a tenant with the user; made at sign-up once enable_profiles() was called';
COMMENT ON COLUMN tenancy.user_profiles.user_id IS 'The user';
COMMENT ON COLUMN tenancy.user_profiles.first_name IS 'Given name';
COMMENT ON COLUMN tenancy.user_profiles.last_name IS 'Family name';
COMMENT ON COLUMN tenancy.user_profiles.display_name IS 'How he wants to be called';
COMMENT ON COLUMN tenancy.user_profiles.salutation IS 'As in Ms';
COMMENT ON COLUMN tenancy.user_profiles.title IS 'As in Dr.';
COMMENT ON COLUMN tenancy.user_profiles.avatar_url IS 'His picture, http or https; at first as tenancy.profile_avatar_url says';
COMMENT ON COLUMN tenancy.user_profiles.website_url IS 'His page, http or https';
COMMENT ON COLUMN tenancy.user_profiles.time_zone IS 'A name of pg_timezone_names, as in Europe/London';
COMMENT ON COLUMN tenancy.user_profiles.language IS 'A language tag, as in en-US';
COMMENT ON COLUMN tenancy.user_profiles.birthday_date IS 'Birthday';
COMMENT ON COLUMN tenancy.user_profiles.phone IS 'Telephone number that others may see; not the one he signs in by';
COMMENT ON COLUMN tenancy.user_profiles.created_at IS 'When the profile was made';
COMMENT ON COLUMN tenancy.user_profiles.updated_at IS 'When it last changed';

ALTER TABLE tenancy.user_profiles ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('tenancy.user_profiles', '');

-- With whom one shares an open tenant. A view of its owner's, because members themselves are seen with members.read
-- only; empty while there are no profiles, so that it tells nothing that the profiles do not; a barrier, so that no
-- condition of the caller's sees other rows. As a view the planner chooses between looking one user up and hashing all.
CREATE VIEW tenancy.colleagues WITH (security_barrier) AS
    SELECT m.user_id,
           m.tenant_id = ANY (tenancy.tenant_ids_with('profiles.edit'))
           AND NOT EXISTS (SELECT FROM tenancy.members o
                            WHERE o.user_id = m.user_id AND o.tenant_id <> ALL (tenancy.tenant_ids_with('profiles.edit'))) AS can_edit
      FROM tenancy.members m
     WHERE m.tenant_id = ANY (tenancy.tenant_ids()) AND m.status = 'active'
       AND EXISTS (SELECT FROM tenancy.user_profiles);
COMMENT ON VIEW tenancy.colleagues IS 'Active members of the caller''s open tenants, once for each tenant they share with him: what policies of profiles ask';
COMMENT ON COLUMN tenancy.colleagues.user_id IS 'The user';
COMMENT ON COLUMN tenancy.colleagues.can_edit IS 'Whether the caller holds profiles.edit in that tenant, and in every other the user is a member of: anybody may be added to a tenant, which must not give a hold on what others see of him';

CREATE POLICY user_profiles_select ON tenancy.user_profiles FOR SELECT
    USING (user_id = tenancy.current_user_id()
           OR EXISTS (SELECT FROM tenancy.colleagues c WHERE c.user_id = user_profiles.user_id));
CREATE POLICY user_profiles_update ON tenancy.user_profiles FOR UPDATE
    USING (user_id = tenancy.current_user_id()
           OR EXISTS (SELECT FROM tenancy.colleagues c WHERE c.user_id = user_profiles.user_id AND c.can_edit));
COMMENT ON POLICY user_profiles_select ON tenancy.user_profiles IS 'See the matrix in docs/security.md';
COMMENT ON POLICY user_profiles_update ON tenancy.user_profiles IS 'See the matrix in docs/security.md';

CREATE FUNCTION tenancy.guard_profile() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.updated_at := CASE WHEN (NEW.*) IS DISTINCT FROM (OLD.*) THEN now() ELSE OLD.updated_at END;
    END IF;
    -- What carries a time of its own was dumped: the server it comes from may have known other time zones.
    IF (TG_OP = 'INSERT' AND NEW.updated_at = now() OR TG_OP = 'UPDATE' AND NEW.time_zone IS DISTINCT FROM OLD.time_zone)
       AND tenancy.is_time_zone(NEW.time_zone) IS NOT TRUE THEN
        RAISE EXCEPTION 'unknown time zone' USING ERRCODE = '22023',
            DETAIL = format('The server knows no %s.', coalesce(quote_literal(left(NEW.time_zone, 100)), 'NULL')),
            HINT = 'SELECT name FROM pg_timezone_names lists those it knows.';
    END IF;
    IF tenancy.is_language_tag(NEW.language) IS NOT TRUE THEN
        RAISE EXCEPTION 'invalid language' USING ERRCODE = '22023',
            HINT = 'A language tag looks like en, en-US or zh-Hant-TW.';
    END IF;
    IF NOT tenancy.is_web_address(NEW.avatar_url) OR NOT tenancy.is_web_address(NEW.website_url) THEN
        RAISE EXCEPTION 'invalid address in avatar_url or website_url' USING ERRCODE = '22023',
            HINT = 'It begins with https:// or http:// and holds no spaces.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.guard_profile() IS 'Trigger function: time zone, language and addresses are valid; updated_at is kept';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON tenancy.user_profiles
    FOR EACH ROW EXECUTE FUNCTION tenancy.guard_profile();
COMMENT ON TRIGGER guard ON tenancy.user_profiles IS 'Time zone, language and addresses are valid; updated_at is kept';
CREATE TRIGGER guard_identity BEFORE UPDATE ON tenancy.user_profiles FOR EACH ROW
    WHEN (OLD.user_id IS DISTINCT FROM NEW.user_id) EXECUTE FUNCTION tenancy.guard_identity();
COMMENT ON TRIGGER guard_identity ON tenancy.user_profiles IS 'Refuses to change a key that grants refer to';
