'use strict';

const http = require('node:http');
const routes = require('./routes');
const steps = [...require('./steps'), route];

async function route(request) {
    for (const [method, path, handler] of routes) {
        const match = request.method === method && path.exec(request.path);
        if (match) return handler({ ...request, params: match.slice(1) });
    }
    return [404, { error: 'not found' }];
}

async function answer(message) {
    let body = '';
    for await (const part of message) body += part;
    const url = new URL(message.url, 'http://service');
    const { method, headers } = message;
    const request = { method, headers, path: url.pathname, query: url.searchParams, body: body && JSON.parse(body) };
    const run = (n) => steps[n](request, () => run(n + 1));
    return run(0);
}

const server = http.createServer((message, response) => {
    answer(message)
        .catch((error) => [500, { error: error.message, code: error.code }])
        .then(([status, body]) => {
            response.writeHead(status, { 'content-type': 'application/json' });
            response.end(JSON.stringify(body));
        });
});

module.exports = server;

if (require.main === module) {
    server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => console.log(server.address().port));
}
