#!/usr/bin/env node
// A server in Node.js with its own module http, as a reader of docs/check.md may write it: it passes all claims of
// `check 10`. With --mistake NAME it makes one mistake. Then the claims that --help lists for it have to fail, and
// no others.
import http from 'node:http';
import { parseArgs } from 'node:util';

const mistakes = {  // name: the claims that fail, and what the server does wrong
  'accept-then-forget': ['drain partial-request', 'after SIGTERM, it answers 202 and forgets the event'],
  'accept-while-draining': ['drain', 'after SIGTERM, it still accepts clients and events'],
  'accepts-string-amount': ['reason', 'it accepts "amount":"1"'],
  'closes-after-400-body': ['keep-alive', 'it closes the connection after a body that is not an event'],
  'counts-nothing-refused': ['counters-add-up', 'no counter includes the events that it refuses'],
  'exits-3': ['drain', 'it exits with status 3'],
  'late-refusal': ['overload retry-after', 'it answers 503 only after 1.5 s'],
  'length-in-characters': ['exact', 'its Content-Length counts characters instead of bytes'],
  'lossy-counters': ['counters-add-up', 'no counter includes one in 50 of the events that it refuses'],
  'lost-at-sigterm': ['drain', 'at SIGTERM, it drops its queue and prints that all events are processed'],
  'metrics-disagree': ['exposition', 'GET /metrics shows the counters from the start of the server'],
  'metrics-not-exposition': ['exposition', 'GET /metrics shows JSON'],
  'no-408': ['slow-head', 'it closes without a response if a head is too slow'],
  'no-json-escape': ['exact', "it does not escape a user's name in JSON"],
  'no-queue-limit': ['overload retry-after', 'its queue has no limit'],
  'retry-after-soon': ['retry-after', 'it sends Retry-After: soon'],
  'rounds-amounts': ['exact', 'it takes amounts for numbers, which have 53 bits'],
  'serial-workers': ['parallel-jobs one-lock', 'one worker does all jobs'],
  'slow-response': ['slow-work accepted-at-once retry-after', 'it answers only after the work'],
  'status-429-instead-of-503': ['overload retry-after counters-add-up', 'it refuses events with 429'],
  'wraps-at-64-bit': ['saturation', 'a balance wraps around at the end of its range'],
  'wrong-balance': ['exact saturation lost-update drain', 'it loses one of two updates at the same time'],
};

const help = `usage: server.mjs PORT [--work-ms 50] [--workers 16] [--capacity 100] [--mistake NAME]

mistakes:
${Object.entries(mistakes).map(([name, [claims, what]]) =>
    `  ${name.padEnd(26)}${what}; fails: ${claims}`).join('\n')}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean' },
    'work-ms': { type: 'string', default: '50' },   // the work for an event
    workers: { type: 'string', default: '16' },     // how many events the server works on at a time
    capacity: { type: 'string', default: '100' },   // how many events wait for a worker
    mistake: { type: 'string', default: '' },
  },
});
if (values.help || positionals.length !== 1 || (values.mistake && !(values.mistake in mistakes))) {
  console.log(help);
  process.exit(values.help ? 0 : 2);
}
const { mistake } = values;
const workMs = Number(values['work-ms']);
const workers = mistake === 'serial-workers' ? 1 : Number(values.workers);
const capacity = mistake === 'no-queue-limit' ? Infinity : Number(values.capacity);
const bodyBytesMax = 64 * 1024;
const lingerMs = 2_000;  // for a refused client to read the reason
const drainMs = 30_000;  // from SIGTERM to the exit
const int64Min = -(2n ** 63n), int64Max = 2n ** 63n - 1n;

const balances = new Map();
const counts = { received: 0, processed: 0, dropped: 0 };
const queue = [];
let busyWorkers = 0;
let draining = false;

// ---- work ----------------------------------------------------------------------------------------------------------

function startWorkers() {
  while (busyWorkers < workers && queue.length > 0) {
    ++busyWorkers;
    const event = queue.shift();
    event.before = balances.get(event.user) ?? 0n;
    setTimeout(finish, workMs, event);  // stands for slow work
  }
}

function finish({ user, amount, before, done }) {
  const balance = mistake === 'wrong-balance' ? before : balances.get(user) ?? 0n;
  const sum = balance + amount;
  const saturated = sum > int64Max ? int64Max : sum < int64Min ? int64Min : sum;
  balances.set(user, mistake === 'wraps-at-64-bit' ? BigInt.asIntN(64, sum) : saturated);
  ++counts.processed;
  --busyWorkers;
  done?.();
  startWorkers();
  exitWhenDrained();
}

// ---- handle --------------------------------------------------------------------------------------------------------

const counters = () => ({ ...counts, pending: counts.received - counts.processed - counts.dropped });

/** The counters in Prometheus' text format. */
function exposition() {
  return Object.entries(counters()).map(([name, value]) => {
    const [metric, kind] = name === 'pending' ? ['events_pending', 'gauge'] : [`events_${name}_total`, 'counter'];
    return `# HELP ${metric} Events ${name}.\n# TYPE ${metric} ${kind}\n${metric} ${value}\n`;
  }).join('');
}
const expositionAtStart = exposition();

function respond(response, status, body, fields = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  if (draining) {
    response.setHeader('Connection', 'close');
  }
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': mistake === 'length-in-characters' ? text.length : Buffer.byteLength(text),
    ...fields,
  });
  response.end(text);
}

const refusal = (reason, detail) => ({ status: 'error', reason, detail });

function answer(request, response, body) {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (request.url === '/' && request.method === 'POST') {
    answerMessage(response, body);
  } else if (request.url === '/' && reads) {
    const page = `<!doctype html><title>Peer</title><pre>${exposition()}</pre>`;
    respond(response, 200, page, { 'Content-Type': 'text/html' });
  } else if (request.url === '/metrics' && reads) {
    if (mistake === 'metrics-not-exposition') {
      return respond(response, 200, counters());
    }
    respond(response, 200, mistake === 'metrics-disagree' ? expositionAtStart : exposition(),
      { 'Content-Type': 'text/plain; version=0.0.4' });
  } else if (request.url === '/' || request.url === '/metrics') {
    const allow = request.url === '/' ? 'GET, HEAD, POST' : 'GET, HEAD';
    respond(response, 405, refusal('method_not_allowed', `expected ${allow}`), { Allow: allow });
  } else {
    respond(response, 404, refusal('not_found', 'expected / or /metrics'));
  }
}

/** Parses a message. JSON.parse rounds integers beyond 2^53, so `digits` has the amount as it was sent. */
function parse(body) {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  const message = JSON.parse(text);
  const quoted = text.replace(/"(?:\\.|[^"\\])*"|-?\d[\d.eE+-]*/g, token => token[0] === '"' ? token : `"${token}"`);
  return { message: message ?? {}, digits: JSON.parse(quoted)?.amount };
}

function answerMessage(response, body) {
  let message = {}, digits, detail = 'expected the strings user and action, and the 64-bit integer amount';
  try {
    ({ message, digits } = parse(body));
  } catch (error) {
    detail = error.message;
  }
  const { type, user, action, amount } = message;
  if (type === 'metrics') {
    return respond(response, 200, counters());
  }
  if (type === 'balance' && typeof user === 'string') {
    const name = mistake === 'no-json-escape' ? `"${user}"` : JSON.stringify(user);
    return respond(response, 200, `{"user":${name},"balance":${balances.get(user) ?? 0n}}`);
  }
  const isNumber = typeof amount === 'number' || (mistake === 'accepts-string-amount' && typeof amount === 'string');
  if (typeof user === 'string' && typeof action === 'string' && isNumber && /^-?\d{1,19}$/.test(digits)) {
    const exact = BigInt(digits);
    if (int64Min <= exact && exact <= int64Max) {
      return accept(response, user, mistake === 'rounds-amounts' ? BigInt(amount) : exact);
    }
  }
  const fields = mistake === 'closes-after-400-body' ? { Connection: 'close' } : {};
  respond(response, 400, refusal('invalid_json', detail), fields);
}

/** Queues an event, or refuses it because the queue is full or the server drains. */
function accept(response, user, amount) {
  const accepted = () => respond(response, 202, { status: 'accepted' });
  if (draining && mistake === 'accept-then-forget') {
    return accepted();
  }
  const stopped = draining && mistake !== 'accept-while-draining';
  if (stopped || queue.length >= capacity) {
    if (mistake !== 'counts-nothing-refused' && !(mistake === 'lossy-counters' && Math.random() < 0.02)) {
      ++counts.received;
      ++counts.dropped;
    }
    const refuse = () => respond(response, mistake === 'status-429-instead-of-503' ? 429 : 503,
      { status: 'rejected', reason: draining ? 'shutting_down' : 'server_busy' },
      { 'Retry-After': mistake === 'retry-after-soon' ? 'soon' : '1' });
    return mistake === 'late-refusal' && !draining ? setTimeout(refuse, 1500) : refuse();
  }
  ++counts.received;
  if (mistake === 'slow-response') {
    queue.push({ user, amount, done: accepted });
  } else {
    queue.push({ user, amount });
    accepted();
  }
  startWorkers();
}

// ---- read ----------------------------------------------------------------------------------------------------------

const server = http.createServer({
  maxHeaderSize: 8 * 1024,
  headersTimeout: 2_000,  // for a whole head
  requestTimeout: 30_000,  // for a whole request
  connectionsCheckingInterval: 250,
  keepAliveTimeout: 30_000,  // between requests
}, (request, response) => {
  const pieces = [];
  let bytes = 0;
  request.on('data', piece => {
    bytes += piece.length;
    if (bytes <= bodyBytesMax) {
      pieces.push(piece);
    } else if (!response.headersSent) {
      refuseSize(response);
    }
  });
  request.on('end', () => response.headersSent || answer(request, response, Buffer.concat(pieces)));
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) {
    refuseSize(response);  // before its body arrives
  }
});

function refuseSize(response) {
  const detail = `body over the limit of ${bodyBytesMax} bytes`;
  respond(response, 413, refusal('body_too_large', detail), { Connection: 'close' });
}

/** Answers bytes that are not a request of HTTP. */
server.on('clientError', (error, socket) => {
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code] ?? 400;
  if (!socket.writable || socket.bytesRead === 0 || (status === 408 && mistake === 'no-408')) {
    return socket.destroy();  // an idle client would take a response for that of its next request
  }
  const body = JSON.stringify(refusal(status === 408 ? 'timeout' : 'bad_request', error.message));
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nDate: ${new Date().toUTCString()}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
  // Unread bytes would reset the connection before the client reads.
  socket.resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
});

// ---- run -----------------------------------------------------------------------------------------------------------

let connectionsClosed = false;

function exitWhenDrained(late = false) {
  const { received, dropped, ...rest } = counters();
  const { processed, pending } = mistake === 'lost-at-sigterm' ? { processed: received - dropped, pending: 0 } : rest;
  if (late || (connectionsClosed && pending === 0)) {
    console.log(`received=${received} processed=${processed} dropped=${dropped} pending=${pending}`);
    process.exit(mistake === 'exits-3' ? 3 : pending === 0 ? 0 : 1);
  }
}

function stop() {
  const closed = () => {
    connectionsClosed = true;
    exitWhenDrained();
  };
  draining = true;
  setTimeout(exitWhenDrained, drainMs, true);
  if (mistake === 'accept-while-draining') {
    setTimeout(closed, 500);
  } else {
    server.close(closed);  // waits for clients that have sent a part of a request
  }
  server.closeIdleConnections();
}

process.once('SIGTERM', stop);
process.once('SIGINT', stop);
server.listen({ port: Number(positionals[0]), host: '127.0.0.1', backlog: 1024 },
  () => console.log(`listening on 127.0.0.1:${positionals[0]}`));
