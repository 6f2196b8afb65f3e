-- Suspends a member, or lets him in again: one of those nobody else asks about.
\set user random(40000, 40999)
\set user_digits 10000000 + :user * 7368787 % 90000000
UPDATE tenancy.members SET status = CASE status WHEN 'active' THEN 'suspended' ELSE 'active' END WHERE user_id = ':user_digits-0000-4000-8000-0000000:user';
