import { createServer } from 'node:http';
import { line } from './ages.js';

const started = Date.now();
const server = createServer((request, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(['/healthz', '/readyz'].includes(request.url) ? 'ok\n' : line(request.url.slice(1), Date.now() - started));
});
process.on('SIGTERM', () => server.close());
server.listen(8080);
