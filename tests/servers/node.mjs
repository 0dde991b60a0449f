// A plain server of Node with all of behaviours.mjs. Usage: node node.mjs PORT [ADDRESS]
import http from 'node:http';

import { answer, echo } from './behaviours.mjs';

const server = http.createServer((request, response) => {
  if (answer(request, response)) return;
  response.statusCode = 404;
  response.end(`${request.headers.host} ${request.url}`);
});
server.on('upgrade', echo);
server.listen(Number(process.argv[2]), process.argv[3] ?? '127.0.0.1');
