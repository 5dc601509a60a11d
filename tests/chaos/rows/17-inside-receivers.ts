import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { parseReceiverRules } from '@headrace/shared/webhooks/receiver-rules.ts';
import { createCallbackClient } from '../../../apps/dispatcher/src/webhooks/callback-client.ts';
import { CallbackError } from '../../../apps/dispatcher/src/webhooks/callback-error.ts';
import {
  INSIDE_ANSWERS,
  INSIDE_URLS,
  REDIRECTS,
  REFUSED_URLS,
  withPort,
} from '../harness/inside-receivers.ts';
import { type ChaosRow, judge } from '../harness/row.ts';

/** Where an honest receiver is, beside the trap and allowed by the operator. */
const RECEIVER_HOST = process.platform === 'linux' ? '127.0.0.53' : '::1';
const REQUEST = { headers: {}, body: '{}', timeoutMs: 5_000 };
const REFUSED = new Set(['url_not_allowed', 'address_not_allowed']);

export const insideReceivers: ChaosRow = {
  row: 17,
  title: 'callback addresses that reach inside',
  goal: '≥ 80 vectors (literal, octal, mapped v6, rebinding, redirects, metadata): 0 connections',
  plainBullmq: '–',
  headline: ['vectors', 'connections'],
  async run({ say }) {
    await using traps = await setTraps();
    const urls = [...INSIDE_URLS, ...REFUSED_URLS];
    const literal = await outcomes(urls.map((url) => () => post(withPort(url, traps.port), [])));
    urls.forEach((url, i) => {
      if (!REFUSED.has(literal[i] ?? '')) say(`not refused: ${url}, ${literal[i]}`);
    });
    say(`${literal.length} URLs`);
    const resolved = await outcomes(
      INSIDE_ANSWERS.map((answer) => () => post(`http://hook.example:${traps.port}/`, [answer])),
    );
    say(`${resolved.length} answers of DNS`);
    const rebound = await rebind(traps.receiverPort);
    const redirected = await outcomes(
      REDIRECTS.map(({ status, location }) => () => {
        const target = encodeURIComponent(withPort(location, traps.port));
        const query = `status=${status}&location=${target}`;
        return post(`http://hook.example:${traps.receiverPort}/?${query}`, [[RECEIVER_HOST]]);
      }),
    );
    const refused = [...literal, ...resolved];
    const vectors = refused.length + rebound.length + redirected.length;
    return {
      figures: {
        vectors,
        refused: refused.filter((outcome) => REFUSED.has(outcome)).length,
        rebound_look_ups: rebound.length,
        redirects_not_followed: redirected.filter((outcome) => outcome.startsWith('3')).length,
        connections: traps.connections(),
        trap_works: (await traps.works()) ? 'yes' : 'no',
      },
      ...judge({
        'at least 80 vectors': vectors >= 80,
        'each inside address is refused': refused.every((outcome) => REFUSED.has(outcome)),
        'the first answer of DNS is what counts': rebound.every((outcome) => outcome === '200'),
        'a redirect is the answer': redirected.every((outcome) => outcome.startsWith('3')),
        'nothing reaches the trap': traps.connections() === 0,
        'the trap notices a connection': await traps.works(),
      }),
    };
  },
};

/**
 * A name that is outside when it is checked, and inside whenever it is asked about again: at the
 * port of the honest receiver there is a trap too.
 */
function rebind(port: number): Promise<string[]> {
  const answers = [[RECEIVER_HOST], ['127.0.0.1'], ['::1']];
  return outcomes(Array(10).fill(() => post(`http://hook.example:${port}/`, answers)));
}

/** @param answers of the look-ups of a name, in their order; the last one stays */
async function post(url: string, answers: string[][]): Promise<string> {
  let asked = 0;
  const client = createCallbackClient({
    rules: parseReceiverRules({
      HEADRACE_WEBHOOK_PORTS: `80,443,${portsOf(url)}`,
      HEADRACE_WEBHOOK_ALLOW: RECEIVER_HOST,
    }),
    resolve: async () => answers[Math.min(asked++, answers.length - 1)] ?? [],
  });
  try {
    const { status } = await client.post(url, REQUEST);
    return String(status);
  } catch (error) {
    if (error instanceof CallbackError) return error.reason;
    throw error;
  }
}

/** The port of the trap is one of receivers, so that nothing but the address refuses it. */
function portsOf(url: string): string {
  return /:(\d{4,5})\b/.exec(url)?.[1]?.replace(/^(6379|8443|99999)$/, '80') ?? '80';
}

async function outcomes(tries: (() => Promise<string>)[]): Promise<string[]> {
  const all: string[] = [];
  for (const attempt of tries) all.push(await attempt());
  return all;
}

interface Traps extends AsyncDisposable {
  /** Of the trap on every address of the machine. */
  port: number;
  /** Of the honest receiver, and of a trap on 127.0.0.1. */
  receiverPort: number;
  connections(): number;
  works(): Promise<boolean>;
}

async function setTraps(): Promise<Traps> {
  let connections = 0;
  const trap = () =>
    createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
  const receiver = createHttpServer(({ url = '/' }, response) => {
    const query = new URL(url, 'http://receiver').searchParams;
    const location = query.get('location');
    response.writeHead(Number(query.get('status') ?? 200), location === null ? {} : { location });
    response.end();
  });
  const wide = trap();
  const port = await listen(wide, { port: 0 });
  const receiverPort = await listen(receiver, { port: 0, host: RECEIVER_HOST });
  const near = trap();
  await listen(near, { port: receiverPort, host: '127.0.0.1' });
  return {
    ...{ port, receiverPort },
    connections: () => connections,
    async works() {
      const before = connections;
      await Promise.all([once(wide, 'connection'), once(connect(port, '127.0.0.1'), 'close')]);
      const noticed = connections === before + 1;
      connections = before;
      return noticed;
    },
    async [Symbol.asyncDispose]() {
      receiver.closeAllConnections();
      const closing = [wide, near, receiver].map((server) => once(server.close(), 'close'));
      await Promise.all(closing);
    },
  };
}

async function listen(server: Server, at: { port: number; host?: string }): Promise<number> {
  server.listen(at);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
