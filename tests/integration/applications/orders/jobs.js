// What runs every night.
'use strict';

const db = require('./db');

// Orders that nobody touched for 30 days.
async function cancelStale() {
    const text =
        "UPDATE orders SET status = 'cancelled' WHERE status = 'open' AND created_at < now() - interval '30 days'";
    return (await db.query(text)).rowCount;
}

module.exports = { cancelStale };

if (require.main === module) {
    cancelStale()
        .then((count) => console.log(`cancelled ${count}`))
        .finally(() => db.end());
}
