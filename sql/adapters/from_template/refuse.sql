-- Included: names that schema tenancy does not take, for both templates.
INSERT INTO refusal
SELECT 'names of permissions that cannot be kept', format('"%s"%s', old, ' as "' || nullif(name, old) || '"'),
       'Names look like docs.read: lower case, digits and _, parts joined by dots, and not all. Translate: -v permission_map=''{"Old name": "new.name"}''.'
  FROM wanted_permission WHERE tenancy.is_permission_name(name) IS NOT TRUE OR length(name) > 200;
INSERT INTO refusal
SELECT 'slugs that cannot be kept', format('"%s"', slug), '1 to 63 of a-z, 0-9 and dash, no dash at the ends. Translate: -v slug_map=''{"Old name": "new-name"}''.'
  FROM wanted_tenant WHERE slug !~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$';
INSERT INTO refusal
SELECT 'slugs that are taken', format('"%s"', w.slug), 'Two tenants cannot share a slug. Translate: -v slug_map=''{"Old name": "new-name"}''.'
  FROM wanted_tenant w
 WHERE EXISTS (SELECT FROM wanted_tenant o WHERE o.slug = w.slug AND o.id <> w.id) OR EXISTS (SELECT FROM tenancy.tenants t WHERE t.slug = w.slug AND t.id <> w.id AND t.id NOT IN (SELECT id FROM wanted_tenant));
INSERT INTO refusal
SELECT 'names of tenants that cannot be kept', 'tenant ' || coalesce(key, id::text), 'A name is 1 to 200 characters. Change it in the template.'
  FROM wanted_tenant WHERE name IS NULL OR name = '' OR length(name) > 200;
INSERT INTO refusal
SELECT 'names of roles that cannot be kept', format('"%s" in "%s"', r.name, t.slug),
       'A name is 1 to 63 characters, none of them a control character, no space at the ends, and unique. Translate: -v role_map=''{"old name": "new name"}''.'
  FROM wanted_role r JOIN wanted_tenant t ON t.id = r.tenant_id
 WHERE r.name !~ '^[^[:cntrl:][:space:]]([^[:cntrl:]]{0,61}[^[:cntrl:][:space:]])?$'
    OR EXISTS (SELECT FROM wanted_role o WHERE o.tenant_id = r.tenant_id AND o.name = r.name AND o.id <> r.id)
    OR EXISTS (SELECT FROM tenancy.roles o WHERE o.tenant_id = r.tenant_id AND o.name = r.name AND o.id NOT IN (SELECT id FROM wanted_role));
INSERT INTO refusal
SELECT 'names of roles that are roles of the application here', format('"%s" in "%s"', r.name, t.slug),
       'A tenant''s own role cannot be called so. Translate: -v role_map=''{"owner": "chief"}''.'
  FROM wanted_role r JOIN wanted_tenant t ON t.id = r.tenant_id WHERE EXISTS (SELECT FROM tenancy.roles a WHERE a.tenant_id IS NULL AND a.name = r.name);
