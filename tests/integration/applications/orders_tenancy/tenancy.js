// Every transaction of a request, or of a job, has its identity.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');

const identity = new AsyncLocalStorage();

const asUser = (user, tenant, work) =>
    identity.run({ text: 'SELECT tenancy.set_identity($1, $2)', values: [user, tenant] }, work);

const asJob = (tenant, work) => identity.run({ text: 'SELECT tenancy.enter_tenant($1)', values: [tenant] }, work);

// A pool of node-postgres with the same query() and connect(). Where somebody is asking, each query is a transaction,
// and each BEGIN is followed by his identity.
function scoped(pool) {
    async function connect() {
        const client = await pool.connect();
        const who = identity.getStore();
        if (!who) return client;
        const query = async (...args) => {
            const result = await client.query(...args);
            if (/^\s*(begin|start\s)/i.test(args[0].text ?? args[0])) await client.query(who);
            return result;
        };
        return { query, release: (error) => client.release(error) };
    }

    async function query(...args) {
        if (!identity.getStore()) return pool.query(...args);
        const client = await connect();
        let broken;
        try {
            await client.query('BEGIN');
            const result = await client.query(...args);
            await client.query('COMMIT');
            return result;
        } catch (error) {
            // Who comes after us must not find the transaction open: what cannot be rolled back is closed.
            await client.query('ROLLBACK').catch((failure) => (broken = failure));
            throw error;
        } finally {
            client.release(broken);
        }
    }

    return { query, connect, end: () => pool.end() };
}

module.exports = { asUser, asJob, scoped };
