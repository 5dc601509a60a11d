import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { rounded } from '../harness/figures.ts';
import { type HostileBody, hostileBodies } from '../harness/hostile-bodies.ts';
import { inLanes } from '../harness/load.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { type Stack, startStack } from '../harness/stack.ts';

const ROUNDS: Record<Scale, number> = { short: 3, quick: 20, long: 100 };
const LANES = 4;
const WARM_UP_REQUESTS = 2_000;
const PATHS = ['/v1/jobs', '/predict', '/v1/embeddings', '/v1/batches'];
const MIB = 1_048_576;

export const hostileBodiesRow: ChaosRow = {
  row: 19,
  title: 'oversized, chunked, gzip-bomb, deeply nested, million-key bodies',
  goal: '413/415/400, RSS growth ≤ 50 MB, event-loop lag p99 < 100 ms',
  plainBullmq: '1.4 s blocked',
  headline: ['bodies', 'rss_growth_mib', 'lag_p99_ms'],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'], workers: 0 });
    const bodies = hostileBodies();
    await warmUp(stack);
    await stack.client.metric('headrace_event_loop_lag_seconds');
    const rss = watchRss(stack.api.pid);
    const tries = Array.from({ length: ROUNDS[scale] }, (_, round) =>
      bodies.map((body, i) => ({ body, path: PATHS[(round + i) % PATHS.length] ?? '' })),
    ).flat();
    const wrong: string[] = [];
    const rest = tries.values();
    const lane = async () => {
      for (const { body, path } of rest) {
        const status = await send(`${stack.api.url}${path}`, body);
        if (!body.statuses.includes(status)) wrong.push(`${path} ${body.name}: ${status}`);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    const growthMib = rss.growthMib();
    const lagMs = (await stack.client.metric('headrace_event_loop_lag_seconds')) * 1000;
    const { status } = await stack.client.call('/health', { method: 'GET' });
    for (const text of new Set(wrong)) say(`not as expected: ${text}`);
    return {
      figures: {
        bodies: tries.length,
        wrong_answers: wrong.length,
        rss_before_mib: rounded(rss.beforeMib),
        rss_growth_mib: rounded(growthMib),
        lag_p99_ms: rounded(lagMs),
      },
      ...judge(
        {
          'each is refused with the status for it': wrong.length === 0,
          'the API goes on': status === 200,
        },
        {
          'RSS growth ≤ 50 MB': growthMib * MIB <= 50e6,
          'event-loop lag p99 < 100 ms': lagMs < 100,
        },
      ),
    };
  },
};

/** So that code is compiled and pools are filled before memory is looked at. */
async function warmUp({ client }: Stack): Promise<void> {
  const body = { input: 'x'.repeat(1_000) };
  await inLanes(Array(WARM_UP_REQUESTS).fill(body), () =>
    client.call('/v1/jobs', { method: 'POST', body, headers: {} }),
  );
}

const agent = new Agent({ keepAlive: true });

/** @returns the status; 0 when the connection is closed without one */
function send(url: string, { pieces, headers }: HostileBody): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const sent = request(url, { method: 'POST', headers, agent });
  sent.once('response', (answer: IncomingMessage) => {
    answer.resume();
    resolve(answer.statusCode ?? 0);
  });
  // The rest of a body that was refused cannot be sent.
  sent.on('error', () => resolve(0));
  const [first, ...rest] = pieces;
  if (rest.length === 0) sent.end(first);
  else sendPieces(sent, pieces);
  return promise;
}

function sendPieces(sent: ClientRequest, pieces: HostileBody['pieces']): void {
  const rest = pieces.values();
  const next = () => {
    for (const piece of rest) {
      if (sent.destroyed || !sent.write(piece)) return;
    }
    sent.end();
  };
  sent.on('drain', next);
  next();
}

/** From now on the kernel keeps the peak of the process anew; 0 where there is no such kernel. */
function watchRss(pid: number): { growthMib(): number; beforeMib: number } {
  if (process.platform !== 'linux') return { growthMib: () => 0, beforeMib: 0 };
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const peak = () => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
  };
  const beforeMib = peak();
  return { growthMib: () => peak() - beforeMib, beforeMib };
}
