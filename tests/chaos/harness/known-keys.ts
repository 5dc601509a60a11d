import type { Redis } from 'ioredis';

const ID = '[0-9a-hjkmnp-tv-z]{26}';
const TENANT = '[a-z0-9][a-z0-9_-]{0,62}';
const MODEL = '[a-z0-9-]+@1';
const QUEUE = `(?:(?:infer|bulk)\\.${MODEL}|plan|assemble|webhooks)`;
const JOB_OF_A_QUEUE = [
  `infer\\.${MODEL}:job_${ID}`,
  `bulk\\.${MODEL}:batch_${ID}-\\d+`,
  `(?:plan|assemble):batch_${ID}`,
  `webhooks:whd_${ID}(?:-\\d+)?`,
].join('|');

/** Every key that this system may have, by its type; what the ids and tenants are is ours to say. */
const KEYS: Record<string, string[]> = {
  hash: [
    ...[`batch(?:-chunks)?:batch_${ID}`, `api-key:key_${ID}`, `order:(?:infer|bulk)\\.${MODEL}`],
    ...[
      'tenants',
      'workers',
      'apis',
      'overview',
      `delivery:whd_${ID}`,
      `webhook-endpoint:whe_${ID}`,
    ],
    ...[JOB_OF_A_QUEUE, `${QUEUE}:meta`],
  ],
  string: [
    ...[`job:job_${ID}`, `file:file-${ID}`, 'keys-demanded', 'expiry-turn', `rate:key_${ID}`],
    ...['once:[\\w-]{43}', `webhook-secrets:${TENANT}`, `(?:${JOB_OF_A_QUEUE}):lock`],
    `${QUEUE}:(?:id|stalled-check|pc)`,
    `speed:${MODEL}`,
  ],
  zset: [
    ...[`(?:jobs|files|batches|deliveries|webhook-endpoints):${TENANT}`, '(?:live|ended)-batches'],
    ...['file-expiry', 'api-keys', `${QUEUE}:(?:prioritized|delayed|completed|failed|marker)`],
  ],
  set: ['tenant-names', `${QUEUE}:stalled`],
  list: [`${QUEUE}:(?:wait|active|paused)`],
  stream: [`${QUEUE}:events`],
};
const PATTERNS = Object.entries(KEYS).map(
  ([type, names]) => [type, new RegExp(`^(?:${names.join('|')})$`)] as const,
);

/** Keys that a Redis of this system alone should not have, and those that hold something else. */
export async function strangeKeys(redis: Redis, prefix: string) {
  const strange: string[] = [];
  const mistyped: string[] = [];
  for (const key of await redis.keys('*')) {
    const name = key.startsWith(`${prefix}:`) ? key.slice(prefix.length + 1) : key;
    const [type] = PATTERNS.find(([, pattern]) => pattern.test(name)) ?? [];
    if (type === undefined) strange.push(key);
    // One that expires meanwhile is of no type.
    else if (![type, 'none'].includes(await redis.type(key))) mistyped.push(key);
  }
  return { strange, mistyped };
}
