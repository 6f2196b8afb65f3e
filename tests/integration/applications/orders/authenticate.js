// Who asks: a user by his token, on behalf of the account that he names; or the payment provider by its secret.
'use strict';

const db = require('./db');

async function authenticate(request, next) {
    const { authorization = '', 'x-account': account } = request.headers;
    if (request.path.startsWith('/webhooks/')) {
        if (request.headers['x-secret'] !== process.env.WEBHOOK_SECRET) return [401, { error: 'who are you?' }];
        return next();
    }
    const { rows } = await db.query('SELECT id FROM users WHERE token = $1', [authorization.replace('Bearer ', '')]);
    if (rows.length === 0) return [401, { error: 'who are you?' }];
    request.user = rows[0].id;
    request.account = account;
    return next();
}

module.exports = authenticate;
