import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type ModelFolder, modelRef, readModelsDir } from '@headrace/shared/manifests.ts';
import type { Encoding } from '../../apps/worker/src/inference/encoding.ts';
import type { EnginePool } from '../../apps/worker/src/inference/engine/engine-pool.ts';
import { engineSpecOf } from '../../apps/worker/src/inference/engine-spec.ts';
import { verifyModel } from '../../apps/worker/src/inference/models.ts';
import { cpu } from '../../apps/worker/src/inference/providers/cpu.ts';
import { AMPLE_MS, BUNDLED_MODELS, batchOf, seededRandom, startPool } from '../helpers/engines.ts';

const SEED = 20_251;
const ROWS = 24;
const SHUFFLES = 3;
const MOST_ROWS_OF_A_BATCH = 9;
const LONGEST_ROW_WORDS = 40;
const TOLERANCE = 1e-5;
const WORDS = `a the product was delivered late and I love it terrible price refund, support team
  answered 3 days later! Größe naïve 日本 zzzyx unbelievable`.split(/\s+/);

const { folders } = await readModelsDir(BUNDLED_MODELS);

test('there is a bundled model to look at', () => assert.ok(folders.length > 0));

for (const folder of folders) {
  for (const variant of Object.keys(folder.manifest.variants)) {
    const name = `${modelRef(folder.manifest)} (${variant})`;
    test(`${name} gives a row the same numbers in any batch as alone`, async (t) => {
      const { pool, encode } = await startVariant(t, folder, variant);
      const random = seededRandom(SEED);
      const rows = Array.from({ length: ROWS }, () => encode(randomText(random)));
      const alone: Float32Array[] = [];
      for (const row of rows) alone.push(...(await runBatch(pool, [row])));
      for (let i = 0; i < SHUFFLES; i++) await assertSame(pool, rows, { alone, random });
    });
  }
}

async function startVariant(t: TestContext, folder: ModelFolder, variant: string) {
  const verified = await verifyModel(folder, variant);
  const spec = engineSpecOf(verified, cpu, { threads: 1, deviceId: 0 });
  return await startPool(t, folder, { spec, engines: 2 });
}

function randomText(random: () => number): string {
  // Mostly short, as real texts are: the square keeps the runs small.
  const words = 1 + Math.floor(random() ** 2 * LONGEST_ROW_WORDS);
  const pick = () => WORDS[Math.floor(random() * WORDS.length)] ?? '';
  return Array.from({ length: words }, pick).join(' ');
}

async function runBatch(pool: EnginePool, rows: Encoding[]): Promise<Float32Array[]> {
  const { outcomes } = await pool.run(batchOf(rows), AMPLE_MS);
  return outcomes.map((outcome) => {
    assert.ok(outcome.ok);
    return outcome.values;
  });
}

/** Runs all rows in batches of random size and company. */
async function assertSame(
  pool: EnginePool,
  rows: Encoding[],
  { alone, random }: { alone: Float32Array[]; random: () => number },
): Promise<void> {
  const order = shuffle([...rows.keys()], random);
  while (order.length > 0) {
    const picked = order.splice(0, 2 + Math.floor(random() * (MOST_ROWS_OF_A_BATCH - 1)));
    const together = await runBatch(
      pool,
      picked.flatMap((i) => rows[i] ?? []),
    );
    for (const [at, i] of picked.entries()) {
      const difference = largestDifference(together[at], alone[i]);
      assert.ok(difference <= TOLERANCE, `seed ${SEED}, row ${i} of ${picked}: ${difference}`);
    }
  }
}

function shuffle(items: number[], random: () => number): number[] {
  const keyed = items.map((item) => ({ item, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

function largestDifference(a: Float32Array | undefined, b: Float32Array | undefined): number {
  assert.ok(a !== undefined && b !== undefined && a.length === b.length && a.length > 0);
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))));
}
