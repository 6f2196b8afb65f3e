'use strict';

const assert = require('node:assert');
const { after, before, test } = require('node:test');
const { Client } = require('pg');

process.env.WEBHOOK_SECRET = 'secret';
const db = require('./db');
const { cancelStale } = require('./jobs');
const server = require('./server');

const token = `test ${process.pid}`;
let account, customer, origin;

// Fixtures are written as the owner of the tables, directly.
before(async () => {
    const owner = new Client({ host: process.env.OWNER_HOST, port: 5432, user: process.env.OWNER });
    await owner.connect();
    const id = async (text, values) => (await owner.query(text, values)).rows[0].id;
    try {
        account = await id("INSERT INTO accounts (name) VALUES ('Test') RETURNING id");
        const user = await id('INSERT INTO users (token) VALUES ($1) RETURNING id', [token]);
        await owner.query('INSERT INTO account_users (account_id, user_id) VALUES ($1, $2)', [account, user]);
    } finally {
        await owner.end();
    }
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    // Whatever fails below, the tests end.
    server.unref();
    origin = `http://127.0.0.1:${server.address().port}`;
    customer = (await send('POST', '/customers', { name: 'Cleo' }, 201)).id;
});

after(async () => {
    server.close();
    await db.end();
});

async function send(method, path, body, status = 200, headers = {}) {
    const response = await fetch(origin + path, {
        method,
        headers: { authorization: `Bearer ${token}`, 'x-account': account, connection: 'close', ...headers },
        body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    assert.equal(response.status, status, `${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
}

test('a customer from beginning to end', async () => {
    const { id } = await send('POST', '/customers', { name: 'Carl' }, 201);
    assert.deepEqual(await send('GET', `/customers/${id}`), { id, name: 'Carl' });
    assert.deepEqual(await send('PATCH', `/customers/${id}`, { name: 'Karl' }), { id, name: 'Karl' });
    assert.ok((await send('GET', '/customers')).some((customer) => customer.id === id));
    await send('DELETE', `/customers/${id}`);
    await send('GET', `/customers/${id}`, undefined, 404);
});

test('an order is placed, added to and paid', async () => {
    const items = [{ sku: 'tea', cents: 300 }, { sku: 'cup', cents: 500 }];
    const { id } = await send('POST', '/orders', { customer, items }, 201);
    await send('POST', `/orders/${id}/items`, { sku: 'spoon', cents: 100 }, 201);
    assert.deepEqual(await send('GET', `/orders/${id}`), { id, status: 'open', customer: 'Cleo', cents: 900 });
    const webhook = ['POST', '/webhooks/payments', { account, order: id }];
    await send(...webhook, 401);
    await send(...webhook, 200, { 'x-secret': 'secret' });
    assert.equal((await send('GET', `/orders/${id}`)).status, 'paid');
});

test('an order that fails leaves nothing behind', async () => {
    const count = (await send('GET', '/orders')).length;
    const items = [{ sku: 'tea', cents: 300 }, { sku: 'air', cents: 0 }];
    await send('POST', '/orders', { customer, items }, 500);
    assert.equal((await send('GET', '/orders')).length, count);
});

test('open orders are cancelled at once', async () => {
    await send('POST', '/orders', { customer, items: [] }, 201);
    assert.equal((await send('POST', '/orders/cancel')).cancelled, 1);
});

test('many requests at once', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => send('GET', `/customers/${customer}`)));
    assert.ok(answers.every(({ name }) => name === 'Cleo'));
});

test('without a token', () => send('GET', '/customers', undefined, 401, { authorization: '' }));

test('the nightly job runs', async () => assert.equal(typeof (await cancelStale()), 'number'));
