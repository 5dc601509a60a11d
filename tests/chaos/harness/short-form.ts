import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ChaosRow } from './row.ts';

/**
 * Inflicts a fault a few times and asserts what must hold on any machine. Times are the business of
 * `npm run chaos`.
 */
export async function assertSurvives(t: TestContext, row: ChaosRow): Promise<void> {
  const { missed, figures } = await row.run({ say: (text) => t.diagnostic(text) }, 'short');
  assert.deepEqual(missed, [], JSON.stringify(figures, null, 2));
}
