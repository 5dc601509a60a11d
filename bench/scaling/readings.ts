import type { Redis } from 'ioredis';
import { z } from 'zod';
import { evaluateFormula } from './formula.ts';
import type { ScaledObject, Trigger } from './scaled-object.ts';

/** As KEDA's redis scaler asks for the length of whatever a key holds. */
const LENGTH = `
  local commands = { zset = 'zcard', set = 'scard', list = 'llen', hash = 'hlen', none = 'llen' }
  return redis.call(commands[redis.call('type', KEYS[1]).ok], KEYS[1])`;
const TIMEOUT_MS = 3_000;

/** Where the triggers' services are, in place of the cluster's addresses. */
interface Services {
  /** As the user of the autoscaler. */
  redis: Redis;
  apiUrl: string;
}

/** What the formula of a ScaledObject gives at the moment; null when a trigger does not answer. */
export async function readMetric(
  { triggers, advanced }: Pick<ScaledObject, 'triggers' | 'advanced'>,
  services: Services,
): Promise<number | null> {
  try {
    const read = await Promise.all(
      triggers.map(
        async (trigger) => [trigger.name, await readTrigger(trigger, services)] as const,
      ),
    );
    return evaluateFormula(advanced.scalingModifiers.formula, Object.fromEntries(read));
  } catch {
    return null;
  }
}

async function readTrigger(trigger: Trigger, { redis, apiUrl }: Services): Promise<number> {
  if (trigger.type === 'redis') {
    return z.number().parse(await redis.eval(LENGTH, 1, trigger.metadata.listName));
  }
  const { url, valueLocation } = trigger.metadata;
  const { pathname } = new URL(url);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(`${apiUrl}${pathname}`, { signal });
  if (answer.status !== 200) throw new Error(`${pathname} answers ${answer.status}`);
  const body = z.record(z.string(), z.unknown()).parse(await answer.json());
  return z.number().parse(body[valueLocation]);
}
