-- Ann sells for account 1, Bob for account 2, Cat for both; Vic only looks at account 1.
INSERT INTO accounts (id, name) VALUES (1, 'Ant'), (2, 'Bee');
INSERT INTO users (id, token) VALUES (1, 'ann'), (2, 'bob'), (3, 'vic'), (4, 'cat');
INSERT INTO account_users (account_id, user_id, role)
VALUES (1, 1, 'seller'), (2, 2, 'seller'), (1, 3, 'viewer'), (1, 4, 'seller'), (2, 4, 'viewer');
INSERT INTO customers (id, account_id, name) VALUES (1, 1, 'Amy'), (2, 2, 'bee secret Ben');
INSERT INTO orders (id, account_id, customer_id, created_at)
VALUES (1, 1, 1, '2020-01-01'), (2, 1, 1, now()), (3, 2, 2, '2020-01-01'), (4, 2, 2, now());
INSERT INTO order_items (id, order_id, sku, cents) VALUES (1, 1, 'tea', 300), (2, 3, 'honey', 700);
SELECT setval(pg_get_serial_sequence(name, 'id'), 100)
FROM unnest('{accounts,users,customers,orders,order_items}'::text[]) name;
