import { z } from 'zod';
import type { Received } from '../../helpers/receiver.ts';
import { startWebhookSystem, type WebhookSystem } from '../../helpers/webhooks.ts';
import { type ChaosRow, judge } from '../harness/row.ts';
import { accepts, type SignedCallback, tampered, VERIFIERS } from '../harness/signed-callbacks.ts';

interface Case {
  name: string;
  callback: SignedCallback;
  good: boolean;
}

export const signatures: ChaosRow = {
  row: 18,
  title: 'tampered, replayed and rotated signatures',
  goal: 'the verifiers of standardwebhooks and openai agree in every case',
  plainBullmq: '–',
  headline: ['cases', 'verifiers', 'accepted', 'rejected', 'disagreements'],
  async run({ say }) {
    const system = await startWebhookSystem();
    const cases = await casesOf(system).finally(() => system.stop());
    const disagreements: string[] = [];
    for (const [verifier, verify] of Object.entries(VERIFIERS)) {
      for (const { name, callback, good } of cases) {
        if ((await accepts(verify, callback)) !== good) disagreements.push(`${verifier}: ${name}`);
      }
    }
    for (const disagreement of disagreements) say(disagreement);
    const accepted = cases.filter(({ good }) => good).length;
    return {
      figures: {
        cases: cases.length,
        verifiers: Object.keys(VERIFIERS).length,
        accepted,
        rejected: cases.length - accepted,
        disagreements: disagreements.length,
      },
      ...judge({
        'every verifier takes what is ours and nothing else': disagreements.length === 0,
        'there are cases of both kinds': accepted >= 4 && cases.length > 300,
      }),
    };
  },
};

/** Callbacks as they came: of one secret, of two during a rotation, and of the second alone. */
async function casesOf(system: WebhookSystem): Promise<Case[]> {
  const first = await rotate(system, 0);
  const before = await callBack(system, '/before');
  const second = await rotate(system, 3_600);
  const during = await callBack(system, '/during');
  const third = await rotate(system, 0);
  const after = await callBack(system, '/after');
  const known: [string, Received, string[]][] = [
    ['before the rotation', before, [first]],
    ['during the rotation', during, [first, second]],
    ['after the rotation', after, [third]],
  ];
  return known.flatMap(([when, received, good]) =>
    [first, second, third].flatMap((secret, i) => {
      const callback = signedCallback(received, secret);
      const name = `${when}, secret ${i + 1}`;
      const itself = { name, callback, good: good.includes(secret) };
      if (!itself.good) return [itself];
      const bad = [...tampered(callback)].map(([change, changed]) => {
        return { name: `${name}, ${change}`, callback: changed, good: false };
      });
      return [itself, ...bad];
    }),
  );
}

async function rotate({ post }: WebhookSystem, overlapS: number): Promise<string> {
  const { body } = await post('/v1/webhooks/secrets', { overlap_s: overlapS });
  return z.object({ secret: z.string() }).parse(body).secret;
}

async function callBack({ receiver, finishedJob }: WebhookSystem, path: string): Promise<Received> {
  await finishedJob(path);
  const [received] = await receiver.until(path, 1);
  if (!received) throw new Error('no callback came');
  return received;
}

function signedCallback({ body, headers }: Received, secret: string): SignedCallback {
  const header = (name: string) => String(headers[name]);
  return {
    ...{ body, secret },
    headers: {
      'webhook-id': header('webhook-id'),
      'webhook-timestamp': header('webhook-timestamp'),
      'webhook-signature': header('webhook-signature'),
    },
  };
}
