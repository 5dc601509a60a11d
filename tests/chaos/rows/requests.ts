import fc from 'fast-check';
import { startBulkSystem } from '../../helpers/bulk-system.ts';
import { type Contract, createContract } from '../../helpers/contract.ts';
import { startReceiver } from '../../helpers/receiver.ts';
import { answerText } from '../harness/answer-text.ts';
import { readApiDocument } from '../harness/api-document.ts';
import { createKnown } from '../harness/known-values.ts';
import { type Known, type RandomRequest, randomRequest } from '../harness/random-requests.ts';
import { untilReady } from '../harness/ready.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';

const REQUESTS: Record<Scale, number> = { short: 300, quick: 1_000, long: 5_000 };
/** Sent at once; a run that fails is made smaller until it is as short as can be. */
const REQUESTS_A_RUN = 20;
const ANSWER_MS = 60_000;
/** Of all requests, and of making those that failed smaller. */
const MOST_MS = 480_000;
/** The same requests in each short run. */
const SEED: Record<Scale, number | null> = { short: 14, quick: 14, long: null };

export const requests: ChaosRow = {
  row: 'requests',
  title: 'random requests made from the OpenAPI document, right ones and wrong ones',
  goal: 'no 5xx and no undocumented answer in 5,000 requests',
  plainBullmq: '–',
  headline: ['requests', 'operations', 'answers_2xx', 'answers_4xx', 'answers_5xx', 'undocumented'],
  async run({ say }, scale) {
    await using undo = new AsyncDisposableStack();
    const receiver = await startReceiver();
    undo.defer(() => receiver.stop());
    const system = await startBulkSystem({
      HEADRACE_AUTH: 'off',
      HEADRACE_MODELS: 'tiny-classifier,tiny-embedder,tiny-pairs',
      HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
      HEADRACE_WEBHOOK_PORTS: `80,443,${receiver.port}`,
      HEADRACE_WEBHOOK_TIMEOUT_S: '2',
    });
    undo.defer(() => system.stop());
    await untilReady(system.apiUrl);
    const known = await createKnown(system.apiUrl, receiver);
    return await send({ url: system.apiUrl, known, say, scale });
  },
};

interface Sending {
  url: string;
  known: Known;
  say(text: string): void;
  scale: Scale;
}

async function send({ url, known, say, scale }: Sending) {
  const document: unknown = await (await fetch(`${url}/openapi.json`)).json();
  const contract = createContract(document);
  const request = randomRequest(readApiDocument(document), known);
  const count = { requests: 0, undocumented: 0, classes: new Map<number, number>() };
  const answered = fc.asyncProperty(
    fc.array(request, { minLength: REQUESTS_A_RUN, maxLength: REQUESTS_A_RUN }),
    async (all) => {
      await Promise.all(all.map((one) => check(url, { request: one, contract, count })));
    },
  );
  const seed = SEED[scale] ?? Date.now() % 2 ** 31;
  const numRuns = Math.ceil(REQUESTS[scale] / REQUESTS_A_RUN);
  const result = await fc.check(answered, { seed, numRuns, interruptAfterTimeLimit: MOST_MS });
  if (result.failed) say(`${result.counterexample?.[0]?.map(describe).join('\n')}`);
  if (result.failed) say(`seed ${seed}: ${result.errorInstance}`.slice(0, 2_000));
  const ofClass = (hundreds: number) => count.classes.get(hundreds) ?? 0;
  const answers = [...contract.seen];
  const reached = new Set(answers.map((each) => each.replace(/ \d+$/, '')));
  const served = new Set(
    answers.filter((each) => / 2\d\d$/.test(each)).map((each) => each.replace(/ \d+$/, '')),
  );
  for (const each of contract.operations) if (!served.has(each)) say(`never served: ${each}`);
  return {
    figures: {
      ...{ seed, requests: count.requests, operations: reached.size },
      operations_that_succeeded: served.size,
      ...{ answers_2xx: ofClass(2), answers_4xx: ofClass(4), answers_5xx: ofClass(5) },
      kinds_of_answers: contract.seen.size,
      undocumented: count.undocumented,
    },
    ...judge({
      'no answer is 5xx': ofClass(5) === 0,
      'every answer is as the document says': count.undocumented === 0 && !result.failed,
      'as many were sent as should be': count.requests >= REQUESTS[scale],
      'all operations are reached': reached.size === contract.operations.length,
      'requests succeed, too': ofClass(2) > count.requests / 20,
    }),
  };
}

interface Checking {
  request: RandomRequest;
  contract: Contract;
  count: { requests: number; undocumented: number; classes: Map<number, number> };
}

/** @throws Error for an answer that must not be */
async function check(url: string, { request, contract, count }: Checking): Promise<void> {
  const { method, path, headers, body } = request;
  const json = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...json, ...headers },
    ...(body === null ? {} : { body: typeof body === 'string' ? body : formOf(body) }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const { status } = response;
  const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
  const text = await answerText(response);
  count.requests += 1;
  const hundreds = Math.floor(status / 100);
  count.classes.set(hundreds, (count.classes.get(hundreds) ?? 0) + 1);
  const { pathname } = new URL(response.url);
  try {
    const parsed: unknown = type === 'application/json' && text !== '' ? JSON.parse(text) : text;
    contract.check({ method: method.toLowerCase(), path: pathname, status, type, body: parsed });
  } catch (error) {
    count.undocumented += 1;
    throw error;
  }
  if (status >= 500) throw new Error(`${status}: ${text.slice(0, 500)}`);
}

function formOf({ fields, content }: { fields: Record<string, string>; content: string }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', new Blob([content]), 'rows');
  return form;
}

function describe({ method, path, body }: RandomRequest): string {
  return `${method} ${path} ${JSON.stringify(body)}`.slice(0, 1_000);
}
