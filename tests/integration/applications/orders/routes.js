// What the service answers. Handlers take the request (user, account, params, query, body) and give back [status, body].
// They name the account where it was needed for the result, and seldom for safety.
'use strict';

const db = require('./db');

const rows = async (text, values) => (await db.query(text, values)).rows;
const found = (list) => (list.length ? [200, list[0]] : [404, { error: 'not found' }]);

async function listCustomers({ account }) {
    return [200, await rows('SELECT id, name FROM customers WHERE account_id = $1 ORDER BY id', [account])];
}

async function addCustomer({ account, body }) {
    const values = [body.account ?? account, body.name];
    const text = 'INSERT INTO customers (account_id, name) VALUES ($1, $2) RETURNING id';
    return [201, (await rows(text, values))[0]];
}

async function getCustomer({ params: [id] }) {
    return found(await rows('SELECT id, name FROM customers WHERE id = $1', [id]));
}

async function renameCustomer({ params: [id], body }) {
    return found(await rows('UPDATE customers SET name = $2 WHERE id = $1 RETURNING id, name', [id, body.name]));
}

async function removeCustomer({ params: [id] }) {
    return found(await rows('DELETE FROM customers WHERE id = $1 RETURNING id', [id]));
}

async function listOrders({ query }) {
    // Goes into the text as it came in.
    const fields = query.get('fields') ?? 'id, status';
    return [200, await rows(`SELECT ${fields} FROM orders ORDER BY id`)];
}

async function getOrder({ params: [id] }) {
    return found(
        await rows(
            `SELECT o.id, o.status, c.name AS customer, coalesce(sum(i.cents), 0)::int AS cents
             FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN order_items i ON i.order_id = o.id
             WHERE o.id = $1 GROUP BY o.id, c.name`,
            [id],
        ),
    );
}

async function placeOrder({ account, body }) {
    const client = await db.connect();
    try {
        await client.query('BEGIN');
        const order = await client.query(
            'INSERT INTO orders (account_id, customer_id) VALUES ($1, $2) RETURNING id, status',
            [account, body.customer],
        );
        for (const { sku, cents } of body.items) {
            await client.query('INSERT INTO order_items (order_id, sku, cents) VALUES ($1, $2, $3)', [
                order.rows[0].id,
                sku,
                cents,
            ]);
        }
        await client.query('COMMIT');
        return [201, order.rows[0]];
    } catch (error) {
        await client.query('ROLLBACK');
        throw error;
    } finally {
        client.release();
    }
}

async function addItem({ params: [id], body }) {
    const text = 'INSERT INTO order_items (order_id, sku, cents) VALUES ($1, $2, $3) RETURNING id';
    return [201, (await rows(text, [id, body.sku, body.cents]))[0]];
}

async function cancelOpen() {
    const { rowCount } = await db.query("UPDATE orders SET status = 'cancelled' WHERE status = 'open'");
    return [200, { cancelled: rowCount }];
}

// Called by the payment provider, for nobody in particular.
async function paid({ body }) {
    const text = "UPDATE orders SET status = 'paid' WHERE id = $1 AND status = 'open' RETURNING id, status";
    return found(await rows(text, [body.order]));
}

module.exports = [
    ['GET', /^\/customers$/, listCustomers],
    ['POST', /^\/customers$/, addCustomer],
    ['GET', /^\/customers\/(\d+)$/, getCustomer],
    ['PATCH', /^\/customers\/(\d+)$/, renameCustomer],
    ['DELETE', /^\/customers\/(\d+)$/, removeCustomer],
    ['GET', /^\/orders$/, listOrders],
    ['POST', /^\/orders$/, placeOrder],
    ['GET', /^\/orders\/(\d+)$/, getOrder],
    ['POST', /^\/orders\/(\d+)\/items$/, addItem],
    ['POST', /^\/orders\/cancel$/, cancelOpen],
    ['POST', /^\/webhooks\/payments$/, paid],
];
