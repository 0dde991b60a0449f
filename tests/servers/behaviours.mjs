// What dev servers do, for the table of tests/tests/preview/conformance.rs: it is mounted in a plain server of Node and in
// Vite's. No library, so that nothing but Node itself decides what is on the wire.
import { createHash } from 'node:crypto';
import { Readable, pipeline } from 'node:stream';
import { gzipSync } from 'node:zlib';

const PIECE = Buffer.alloc(64 * 1024).map((_, at) => at % 256);
const streams = new Set();

const routes = {
  '/sse': (request, response) => {
    let number = 0;
    const send = () => response.write(`data: ${number++}\n\n`);
    streams.add(send);
    response.on('close', () => streams.delete(send));
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    send();
  },
  '/go': (request, response) => {
    for (const send of streams) send();
    response.end();
  },
  '/digest': (request, response) => {
    const hash = createHash('sha256');
    request.on('data', (piece) => hash.update(piece));
    request.on('end', () => response.end(hash.digest('hex')));
  },
  '/headers': (request, response) => response.end(JSON.stringify(request.headers)),
  '/cookies': (request, response) => {
    response.setHeader('Set-Cookie', ['a=1; Domain=localhost; Path=/', 'b=2']);
    response.end();
  },
  '/redirect': (request, response) => {
    response.writeHead(302, { Location: request.url.split('to=')[1] });
    response.end();
  },
  '/204': (request, response) => {
    response.writeHead(204);
    response.end();
  },
  '/gzip': (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' });
    response.end(gzipSync('packed '.repeat(1000)));
  },
  '/trailers': (request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('abc');
    response.addTrailers({ 'X-Sum': '42' });
    response.end();
  },
};

function* pieces(first, last) {
  for (let at = first; at <= last; ) {
    const from = at % 256;
    const piece = PIECE.subarray(from, Math.min(PIECE.length, from + last - at + 1));
    at += piece.length;
    yield piece;
  }
}

function bytes(request, response, length) {
  const tag = { ETag: `"bytes-${length}"` };
  if (request.headers['if-none-match'] === tag.ETag) {
    response.writeHead(304, tag);
    return response.end();
  }
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [first, last] = range ? [Number(range[1]), Number(range[2])] : [0, length - 1];
  const part = range && { 'Content-Range': `bytes ${first}-${last}/${length}` };
  response.writeHead(range ? 206 : 200, { 'Content-Length': last - first + 1, ...tag, ...part });
  if (request.method === 'HEAD') return response.end();
  return pipeline(Readable.from(pieces(first, last)), response, () => {});
}

// Answers a request whose path it knows; false for any other.
export function answer(request, response) {
  const [path] = request.url.split('?');
  const length = /^\/bytes\/(\d+)$/.exec(path);
  if (length) bytes(request, response, Number(length[1]));
  else if (path in routes) routes[path](request, response);
  else return false;
  return true;
}

// One frame at the beginning of what came, or nothing while it is not whole.
function frame(came) {
  if (came.length < 2) return undefined;
  const short = came[1] & 0x7f;
  const behind = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (came.length < behind + 4) return undefined;
  const length = short === 127 ? Number(came.readBigUInt64BE(2)) : short === 126 ? came.readUInt16BE(2) : short;
  const end = behind + 4 + length;
  if (came.length < end) return undefined;
  const mask = came.subarray(behind, behind + 4);
  const payload = came.subarray(behind + 4, end).map((byte, at) => byte ^ mask[at % 4]);
  const head = Buffer.from(came.subarray(0, behind));
  head[1] = short;
  return { echo: Buffer.concat([head, payload]), closes: (came[0] & 0x0f) === 8, rest: came.subarray(end) };
}

// A WebSocket that says what it is told, frame by frame.
export function echo(request, socket, head) {
  const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + guid).digest('base64');
  const protocol = request.headers['sec-websocket-protocol'];
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}\r\n`,
  );
  let came = [head];
  const read = (piece) => {
    came.push(piece);
    // A large message comes in many pieces; they are put together no oftener than needed.
    for (let next; (next = frame((came = [Buffer.concat(came)])[0])); ) {
      socket.write(next.echo);
      came = [next.rest];
      if (next.closes) socket.end();
    }
  };
  socket.on('data', read);
  socket.on('error', () => {});
  read(Buffer.alloc(0));
}
