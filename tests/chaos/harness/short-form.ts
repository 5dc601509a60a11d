import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ChaosRow } from './row.ts';

/**
 * Inflicts a fault a few times and asserts what must hold on any machine. Times are the business of
 * `npm run chaos`.
 */
export async function assertSurvives(t: TestContext, row: ChaosRow): Promise<void> {
  const say = (text: string) => t.diagnostic(text);
  const { missed, figures, skipped } = await row.run({ say }, 'short');
  if (skipped !== undefined) return t.skip(skipped);
  assert.deepEqual(missed, [], JSON.stringify(figures, null, 2));
}
