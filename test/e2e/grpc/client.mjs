/**
 * A gRPC client (grpc-js, on Node) for tests: `node client.mjs PORT SCENARIO [JSON]`. Runs one scenario
 * against `/e2e.Echo/*` and prints its outcome as one line of JSON.
 */
import { Client, credentials, Metadata } from '@grpc/grpc-js';

const [port, scenario, options = '{}'] = process.argv.slice(2);
const settings = JSON.parse(options);
const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.default_authority': 'echo.test',
  ...settings.channel,
});
const octets = (value) => value;
const path = (name) => `/e2e.Echo/${name}`;
const after = (ms) => new Promise((done) => setTimeout(done, ms));

function unary(name, message, metadata = new Metadata(), more = {}) {
  return new Promise((done) => {
    const outcome = {};
    const call = client.makeUnaryRequest(
      path(name),
      octets,
      octets,
      Buffer.from(message),
      metadata,
      more,
      (error, reply) => {
        outcome.code = error?.code ?? 0;
        outcome.details = error?.details;
        outcome.reply = reply;
      },
    );
    call.on('metadata', (initial) => (outcome.initial = initial));
    call.on('status', ({ metadata: trailer }) => {
      outcome.trailer = trailer;
      outcome.server = trailer.get('x-server')[0];
      setImmediate(() => done(outcome));
    });
  });
}

/** Reads a stream to its end; `onMessage` may cancel or hold. */
function readAll(call, onMessage = () => {}) {
  return new Promise((done) => {
    let messages = 0;
    let bytes = 0;
    call.on('data', (data) => {
      messages++;
      bytes += data.length;
      onMessage(data);
    });
    call.on('error', () => {});
    call.on('status', ({ code, details }) => done({ code, details, messages, bytes }));
  });
}

const serverStream = (name, message, more = {}) =>
  client.makeServerStreamRequest(path(name), octets, octets, Buffer.from(message), new Metadata(), more);
const bidi = () => client.makeBidiStreamRequest(path('Chat'), octets, octets);

const scenarios = {
  async unary({ count = 100 }) {
    const outcomes = await Promise.all(
      Array.from({ length: count }, (_, i) => unary('Unary', `message ${i}`)),
    );
    const wrong = outcomes.filter(({ code, reply }, i) => code !== 0 || reply.toString() !== `message ${i}`);
    return {
      count,
      wrong: wrong.length,
      first: wrong[0] && { code: wrong[0].code, details: wrong[0].details },
    };
  },
  collect({ count = 1000, size = 1000 }) {
    return new Promise((done) => {
      const call = client.makeClientStreamRequest(path('Collect'), octets, octets, (error, reply) =>
        done(error ? { code: error.code, details: error.details } : JSON.parse(reply)),
      );
      for (let i = 0; i < count; i++) call.write(Buffer.alloc(size, 'y'));
      call.end();
    });
  },
  stream: ({ count = 1000, size = 1000 }) => readAll(serverStream('Stream', JSON.stringify({ count, size }))),
  async pingPong({ count = 1000 }) {
    const call = bidi();
    let sent = 0;
    const next = () => (sent++ < count ? call.write(Buffer.from(`${sent}`)) : call.end());
    let wrong = 0;
    const outcome = readAll(call, (data) => {
      if (data.toString() !== `${sent}`) wrong++;
      next();
    });
    next();
    return { ...(await outcome), wrong };
  },
  async deadline({ ms = 300 }) {
    const startedMs = performance.now();
    const outcome = await readAll(serverStream('Hold', 'deadline', { deadline: Date.now() + ms }));
    return { ...outcome, elapsedMs: performance.now() - startedMs };
  },
  /** The time that the server was told. */
  async told({ ms }) {
    const call = serverStream('Hold', 'told', { deadline: Date.now() + ms });
    let deadline;
    const outcome = readAll(call, (data) => {
      deadline = JSON.parse(data).deadline;
      call.cancel();
    });
    await outcome;
    return { remainingMs: new Date(deadline).getTime() - Date.now() };
  },
  async cancel() {
    const call = serverStream('Hold', 'cancel me');
    return readAll(call, () => call.cancel());
  },
  /** Waits in a call until it ends by itself. */
  hold() {
    const call = serverStream('Hold', 'held');
    let reason;
    call.on('status', ({ metadata }) => (reason = metadata.get('x-sluice-reason')[0]));
    return readAll(call, () => process.stdout.write('holding\n')).then((outcome) => ({ ...outcome, reason }));
  },
  async fail({ code }) {
    const { code: got, details, server } = await unary('Fail', `${code}`);
    return { code: got, details, server };
  },
  failLate: () => readAll(serverStream('FailLate', '')),
  async metadata() {
    const metadata = new Metadata();
    metadata.add('x-e2e-text', 'one, two');
    metadata.add('x-e2e-text', 'three');
    metadata.add('x-e2e-data-bin', Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    metadata.add('x-e2e-data-bin', Buffer.of(0));
    const { code, initial, trailer } = await unary('Meta', '', metadata);
    const view = (fields) => ({
      text: fields.get('x-e2e-text').join(', '),
      data: fields.get('x-e2e-data-bin').map((value) => value.toString('hex')),
    });
    return { code, initial: view(initial), trailer: view(trailer) };
  },
  async large({ bytes }) {
    const message = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i += 4096) message.writeUInt32BE(i, i);
    const { code, details, reply } = await unary('Unary', message);
    return { code, details, isSame: reply !== undefined && message.equals(reply) };
  },
  async concurrent({ count }) {
    const calls = Array.from({ length: count }, bidi);
    let open = 0;
    const outcomes = calls.map((call, i) => {
      const outcome = readAll(call, () => {
        // Only when every one has been answered do they end: all are open at once.
        if (++open === count) for (const each of calls) each.end();
      });
      call.write(Buffer.from(`${i}`));
      return outcome;
    });
    const all = await Promise.all(outcomes);
    return { open, failed: all.filter(({ code, messages }) => code !== 0 || messages !== 1).length };
  },
  /** Reads 1 MB, holds for a while, then reads the rest. */
  async slow({ count, size, holdMs }) {
    const call = serverStream('Stream', JSON.stringify({ count, size }));
    let isHeld = false;
    const outcome = readAll(call, () => {
      if (isHeld) return;
      isHeld = true;
      call.pause();
      process.stdout.write('holding\n');
      setTimeout(() => call.resume(), holdMs);
    });
    return outcome;
  },
  async spread({ count, width = 10 }) {
    const servers = {};
    let failed = 0;
    let left = count;
    const work = async () => {
      while (left-- > 0) {
        const { code, server } = await unary('Unary', 'x');
        if (code === 0) servers[server] = (servers[server] ?? 0) + 1;
        else failed++;
      }
    };
    await Promise.all(Array.from({ length: width }, work));
    return { servers, failed };
  },
  /** Calls for a time, one behind the other on each of `width` lanes; what failed, by code. */
  async load({ ms, width = 8 }) {
    const until = performance.now() + ms;
    const codes = {};
    const details = new Set();
    const servers = {};
    const work = async () => {
      while (performance.now() < until) {
        const { code, details: words, server } = await unary('Unary', 'x');
        codes[code] = (codes[code] ?? 0) + 1;
        if (code !== 0) details.add(words);
        else servers[server] = (servers[server] ?? 0) + 1;
      }
    };
    process.stdout.write('loading\n');
    await Promise.all(Array.from({ length: width }, work));
    return { codes, details: [...details], servers };
  },
  /** Idle, then in a call, with keepalive pings all the time. */
  async keepalive({ idleMs, callMs }) {
    const states = [];
    const watch = (state) =>
      client.getChannel().watchConnectivityState(state, Infinity, () => {
        const next = client.getChannel().getConnectivityState(false);
        states.push(next);
        watch(next);
      });
    const first = await unary('Unary', 'x');
    watch(client.getChannel().getConnectivityState(false));
    await after(idleMs);
    const call = serverStream('Hold', 'keepalive');
    const held = readAll(call);
    await after(callMs);
    call.cancel();
    await held;
    const last = await unary('Unary', 'x');
    return { codes: [first.code, last.code], states };
  },
};

const outcome = await scenarios[scenario](settings);
process.stdout.write(`${JSON.stringify(outcome)}\n`);
process.exit(0);
