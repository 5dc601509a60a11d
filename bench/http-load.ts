import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

export interface HttpLoad {
  /** Such as `http://127.0.0.1:8000`. */
  origin: string;
  /** Where to POST. */
  path: string;
  headers?: Record<string, string>;
  /** Sent in turn, over and over. */
  bodies: readonly string[];
  /** Requests under way at any time, each on a connection of its own. */
  inFlight: number;
  /** What a good answer has. */
  expect: { status: number; text?: string };
  /** The connections are opened one after the other in the first half of it. */
  warmUpMs: number;
  windowMs: number;
  /** Called for every good answer within the window, with the index of its body. */
  onFinished?: (body: number) => void;
}

export interface LoadResult<Snapshot> {
  /** Good answers within the window; ramp-up and drain lie outside of it. */
  finished: number;
  windowMs: number;
  /** Taken at the edges of the window. */
  before: Snapshot;
  after: Snapshot;
}

/** On a machine that others use, an answer may come too late; more than these is a fault. */
const BAD_ANSWERS_ALLOWED = 0.01;
const PAUSE_AFTER_BAD_MS = 100;

/**
 * A closed loop: as soon as one answer is there, the next request goes out.
 * @throws Error with the last bad answer if there were more than a few within the window
 */
export async function loadWindow<Snapshot>(
  load: HttpLoad,
  snapshot: () => Snapshot | Promise<Snapshot>,
): Promise<LoadResult<Snapshot>> {
  const pool = new Pool(load.origin, { connections: load.inFlight, pipelining: 1 });
  const state: LoadState = { next: 0, finished: 0, bad: [], inWindow: false, stopped: false };
  try {
    const lanes = Promise.all(
      Array.from({ length: load.inFlight }, async (_, lane) => {
        await sleep(((lane / load.inFlight) * load.warmUpMs) / 2);
        while (!state.stopped) await requestNext(pool, load, state);
      }),
    );
    await Promise.race([sleep(load.warmUpMs), lanes]);
    const before = await snapshot();
    const began = performance.now();
    state.inWindow = true;
    await Promise.race([sleep(load.windowMs), lanes]);
    state.inWindow = false;
    const windowMs = performance.now() - began;
    const after = await snapshot();
    state.stopped = true;
    await lanes;
    checkAnswers(state);
    return { finished: state.finished, windowMs, before, after };
  } finally {
    state.stopped = true;
    await pool.destroy();
  }
}

interface LoadState {
  next: number;
  finished: number;
  bad: string[];
  inWindow: boolean;
  stopped: boolean;
}

async function requestNext(pool: Pool, load: HttpLoad, state: LoadState): Promise<void> {
  const { bodies, expect, path } = load;
  const index = state.next++ % bodies.length;
  const answer = await pool.request({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json', ...load.headers },
    body: bodies[index] ?? '',
  });
  const text = await answer.body.text();
  const good = answer.statusCode === expect.status && text.includes(expect.text ?? '');
  if (good && state.inWindow) {
    state.finished += 1;
    load.onFinished?.(index);
  }
  if (good) return;
  if (state.inWindow)
    state.bad.push(`POST ${path} answered ${answer.statusCode}: ${text.slice(0, 300)}`);
  await sleep(PAUSE_AFTER_BAD_MS);
}

function checkAnswers({ finished, bad }: LoadState): void {
  if (bad.length <= finished * BAD_ANSWERS_ALLOWED) return;
  throw new Error(`${bad.length} bad answers beside ${finished} good ones; ${bad.at(-1)}`);
}
