import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { inSeconds, largest, percentile, rounded } from '../harness/figures.ts';
import type { JobClient } from '../harness/job-client.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { startStack } from '../harness/stack.ts';

const SOCKETS: Record<Scale, number> = { short: 150, quick: 1_000, long: 1_000 };
const ROUNDS: Record<Scale, number> = { short: 1, quick: 1, long: 5 };
/** How long the callers are watched without an attack, before each. */
const QUIET_MS: Record<Scale, number> = { short: 500, quick: 6_000, long: 10_000 };
const WARM_UP_MS = 1_000;
const CLOSED_GOAL_MS = 12_000;
const P99_GOAL = 1.5;
/** A socket that is open by then has been forgotten. */
const GIVE_UP_MS = 25_000;
const CALLERS = 4;
const CALL_EVERY_MS = 10;
const DRIP_EVERY_MS = 20;
/** Each socket sends a byte about once a second. */
const DRIPS = 1_000 / DRIP_EVERY_MS;

const HEAD = 'POST /v1/jobs HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
/** What a socket says at once: nothing, a head that never ends, a body that never ends. */
const OPENINGS = ['', `${HEAD}x: `, `${HEAD}content-length: 1000\r\n\r\n{"input":"`];

export const slowSockets: ChaosRow = {
  row: 20,
  title: '1,000 slow-loris sockets: silent ones, heads and bodies byte by byte',
  goal: "closed ≤ 12 s; other callers' p99 ≤ 1.5×",
  plainBullmq: '60–90 s',
  headline: ['sockets', 'closed_max_s', 'p99_ratio'],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'], workers: 0 });
    const { client, api } = stack;
    await callsWhile(client, sleep(WARM_UP_MS));
    const closedMs: number[] = [];
    const quiet: Call[] = [];
    const besides: Call[] = [];
    for (let round = 1; round <= ROUNDS[scale]; round++) {
      quiet.push(...(await callsWhile(client, sleep(QUIET_MS[scale]))));
      const attack = dripFrom(api.port, SOCKETS[scale]).then((times) => closedMs.push(...times));
      besides.push(...(await callsWhile(client, attack)));
      say(`round ${round}: ${closedMs.length} closed within ${inSeconds(largest(closedMs))} s`);
    }
    const p99 = (calls: Call[]) =>
      percentile(
        calls.map(({ ms }) => ms),
        0.99,
      );
    const ratio = p99(besides) / p99(quiet);
    const refused = [...quiet, ...besides].filter(({ status }) => status !== 202).length;
    const sockets = SOCKETS[scale] * ROUNDS[scale];
    return {
      figures: {
        sockets,
        closed: closedMs.length,
        closed_max_s: inSeconds(largest(closedMs)),
        other_calls: besides.length,
        other_calls_not_served: refused,
        p99_before_ms: rounded(p99(quiet)),
        p99_ms: rounded(p99(besides)),
        p99_ratio: rounded(ratio, 2),
      },
      ...judge(
        {
          'each socket is closed': closedMs.length === sockets,
          'every other caller is served': refused === 0,
        },
        {
          'closed ≤ 12 s': largest(closedMs) <= CLOSED_GOAL_MS,
          "other callers' p99 ≤ 1.5×": ratio <= P99_GOAL,
        },
      ),
    };
  },
};

interface Call {
  status: number;
  ms: number;
}

/** Honest callers, a few at a time, until `end` settles. */
async function callsWhile(client: JobClient, end: Promise<unknown>): Promise<Call[]> {
  const calls: Call[] = [];
  let running = true;
  const caller = async () => {
    while (running) {
      const body = { input: 'a text like any other' };
      calls.push(await client.call('/v1/jobs', { method: 'POST', body }));
      await sleep(CALL_EVERY_MS);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  await end.finally(() => {
    running = false;
  });
  await Promise.all(callers);
  return calls;
}

/** @returns how long each socket stayed open that was closed by the other side, in ms */
async function dripFrom(port: number, count: number): Promise<number[]> {
  const sockets = Array.from({ length: count }, (_, i) => slowSocket(port, i));
  let turn = 0;
  // A share of them each time: who attacks must not be the one that slows the callers down.
  const drip = setInterval(() => {
    turn += 1;
    for (const [i, { socket, drips }] of sockets.entries()) {
      if (drips && i % DRIPS === turn % DRIPS && socket.writable) socket.write('a');
    }
  }, DRIP_EVERY_MS);
  const late = sleep(GIVE_UP_MS, null, { ref: false });
  const times = await Promise.all(sockets.map((each) => Promise.race([each.closedMs, late])));
  clearInterval(drip);
  for (const { socket } of sockets) socket.destroy();
  return times.filter((ms) => ms !== null);
}

interface SlowSocket {
  socket: Socket;
  drips: boolean;
  /** How long it was open; null if it never was. */
  closedMs: Promise<number | null>;
}

function slowSocket(port: number, i: number): SlowSocket {
  const opening = OPENINGS[i % OPENINGS.length] ?? '';
  const socket = connect(port, '127.0.0.1');
  let openedMs: number | null = null;
  socket.once('connect', () => {
    openedMs = performance.now();
    socket.write(opening);
  });
  socket.on('error', () => {}).resume();
  const { promise: closedMs, resolve } = Promise.withResolvers<number | null>();
  socket.once('close', () => resolve(openedMs === null ? null : performance.now() - openedMs));
  return { socket, drips: opening !== '', closedMs };
}
