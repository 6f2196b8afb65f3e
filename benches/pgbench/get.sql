-- As request.sql, but READ ONLY as GET is, with a pre-request function: bench.:pre(). :last as there.
\if :cold
SELECT bench.warm(10000, :last);
\set cold 0
\endif
\set user random(10000, :last)
\set user_digits 10000000 + :user * 7368787 % 90000000
\set tenant 10001 + :user % 1000
\set tenant_digits 10000000 + :tenant * 7368787 % 90000000
BEGIN READ ONLY;
SELECT set_config('search_path', '"bench", "public"', true), set_config('role', 'authenticated', true),
    set_config('request.jwt.claims', '{"aud": "authenticated", "exp": 4102444800, "iat": 1700000000, "iss": "https://example.supabase.co/auth/v1", "sub": ":user_digits-0000-4000-8000-0000000:user", "email": "user:user@example.com", "phone": "", "app_metadata": {"provider": "email", "providers": ["email"], "tenant_id": ":tenant_digits-0000-4000-9000-0000000:tenant", "workspace_id": ":tenant_digits-0000-4000-9000-0000000:tenant"}, "user_metadata": {"name": "User :user"}, "role": "authenticated", "aal": "aal1", "amr": [{"method": "password", "timestamp": 1700000000}], "session_id": "5b2b6c5e-6a57-4c1e-9d5c-0f4b0a3f8a11", "is_anonymous": false}', true),
    set_config('request.method', 'GET', true), set_config('request.path', '/docs', true),
    set_config('request.headers', '{"host": "example.supabase.co", "accept": "application/json", "user-agent": "bench"}', true),
    set_config('request.cookies', '{}', true);
SELECT bench.:pre();
SELECT id, amount, folder_id FROM bench.active LIMIT 20;
COMMIT;
