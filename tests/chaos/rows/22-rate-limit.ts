import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../helpers/engines.ts';
import { largest, rounded, sum } from '../harness/figures.ts';
import { JobClient } from '../harness/job-client.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';
import { startStack } from '../harness/stack.ts';

const RACE_MS: Record<Scale, number> = { short: 2_000, quick: 5_000, long: 30_000 };
const CLIENTS = 50;
const RATE = 100;
const BURST = 200;
const MOST_ROWS = 5;
/** Of the waits that are measured at the end, when nobody else asks. */
const WAITS = [20, 100, BURST];
const LOOK_MS = 20;

export const rateLimit: ChaosRow = {
  row: 22,
  title: '50 clients racing a rate limit of 100 rows/s, burst 200, at two APIs',
  goal: 'never over burst + rate × t; Retry-After ± 1 s; spoofed X-Forwarded-For has no effect',
  plainBullmq: 'fixed window: 2×',
  headline: ['rows_accepted', 'rows_allowed', 'most_over_allowance', 'retry_after_error_max_s'],
  async run({ say }, scale) {
    await using stack = await startStack({ models: ['tiny-classifier'] });
    const env = {
      HEADRACE_RATE_ROWS_PER_S: String(RATE),
      HEADRACE_RATE_BURST_ROWS: String(BURST),
    };
    const apis = await Promise.all([stack.startApi(env), stack.startApi(env)]);
    const clients = apis.map(({ url }) => new JobClient(url));
    const race = await startRace(clients, RACE_MS[scale]);
    const [client] = clients;
    const errors: number[] = [];
    for (const rows of WAITS) if (client) errors.push(await retryAfterError(client, rows));
    say(`Retry-After is off by ${errors.map((error) => rounded(error, 2)).join(', ')} s`);
    await Promise.all(clients.map((each) => each.close()));
    return {
      figures: {
        clients: CLIENTS,
        refusals: race.refusals,
        other_answers: race.others,
        rows_accepted: sum(race.accepted.map(({ rows }) => rows)),
        rows_allowed: Math.floor(BURST + (RATE * race.lastMs) / 1000),
        most_over_allowance: rounded(overAllowance(race.accepted)),
        retry_after_error_max_s: rounded(largest(errors.map(Math.abs)), 2),
      },
      ...judge(
        {
          'never over burst + rate × t': overAllowance(race.accepted) <= 0,
          'the limit is reached': race.refusals > 0,
          'all others are accepted': race.others === 0,
        },
        { 'Retry-After ± 1 s': errors.every((error) => Math.abs(error) <= 1) },
      ),
    };
  },
};

interface AcceptedRows {
  rows: number;
  /** When the answer was there, since the first request was sent. */
  ms: number;
}

/** Each asks again at once, with another address that it says it comes from. */
async function startRace(clients: JobClient[], forMs: number) {
  const accepted: AcceptedRows[] = [];
  let refusals = 0;
  let others = 0;
  const random = seededRandom(22);
  const began = performance.now();
  const lane = async (_: unknown, i: number) => {
    for (let n = 0; performance.now() - began < forMs; n++) {
      const rows = 1 + Math.floor(random() * MOST_ROWS);
      const headers = { 'x-forwarded-for': `10.${i}.${n % 256}.1` };
      const body = { input: Array<string>(rows).fill('a text') };
      const call = { method: 'POST', body, headers } as const;
      const answer = await clients[i % clients.length]?.call('/v1/jobs', call);
      if (answer?.status === 202) accepted.push({ rows, ms: performance.now() - began });
      else if (answer?.status === 429) refusals += 1;
      else others += 1;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, lane));
  return { accepted, refusals, others, lastMs: accepted.at(-1)?.ms ?? 0 };
}

/** By how many rows more than burst + rate × t were accepted at any time; below 0 where fewer. */
function overAllowance(accepted: AcceptedRows[]): number {
  let rows = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (const each of accepted) {
    rows += each.rows;
    most = Math.max(most, rows - (BURST + (RATE * each.ms) / 1000));
  }
  return most;
}

/** Seconds between the wait that a refusal names and the one after which it is accepted. */
async function retryAfterError(client: JobClient, rows: number): Promise<number> {
  const body = { input: Array<string>(rows).fill('a text') };
  const call = { method: 'POST', body } as const;
  const began = performance.now();
  const { status, retryAfterS } = await client.call('/v1/jobs', call);
  if (status !== 429 || retryAfterS === null) throw new Error(`${rows} rows: ${status}`);
  while ((await client.call('/v1/jobs', call)).status === 429) await sleep(LOOK_MS);
  return (performance.now() - began) / 1000 - retryAfterS;
}
