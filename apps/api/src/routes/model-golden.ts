import type { ServedModel } from '@headrace/shared/model-catalogue.ts';
import { z } from '@hono/zod-openapi';

const MOST_ROWS = 100;
const MOST_VALUES = 8;

const Answer = z.object({
  labels: z
    .array(z.object({ label: z.string(), score: z.number() }))
    .nullable()
    .describe(`Best first, ${MOST_VALUES} at most.`),
  embedding: z
    .array(z.number())
    .nullable()
    .describe(`The first ${MOST_VALUES} numbers of the vector.`),
});

const GoldenRow = z
  .object({
    text: z.string(),
    text_pair: z.string().nullable(),
    expected: z
      .array(Answer.extend({ variant: z.string() }))
      .describe('What a job without parameters gives, by variant; the default one first.'),
  })
  .meta({ id: 'ModelGoldenRow' });

export const GoldenRows = z
  .array(GoldenRow)
  .describe(`Texts whose answers a worker proves before it is ready; ${MOST_ROWS} at most.`);

type Rows = z.infer<typeof GoldenRows>;

/** The golden rows of a model, with the answers that their numbers are for a caller; made once. */
export function createGoldenRows(): (model: ServedModel) => Rows {
  const made = new Map<ServedModel, Rows>();
  return (model) => {
    const rows = made.get(model) ?? goldenRows(model);
    made.set(model, rows);
    return rows;
  };
}

function goldenRows({ manifest, task }: ServedModel): Rows {
  const parameters = task.parse({});
  const variants = Object.keys(manifest.variants).sort(
    (a, b) => Number(b === manifest.default_variant) - Number(a === manifest.default_variant),
  );
  return manifest.golden.slice(0, MOST_ROWS).map(({ text, text_pair, outputs }) => ({
    text,
    text_pair,
    expected: variants.flatMap((variant) => {
      const activated = task.activate(Float32Array.from(outputs[variant] ?? []), parameters);
      const answer = shortAnswer(task.decode(activated, parameters));
      return answer === null ? [] : [{ variant, ...answer }];
    }),
  }));
}

/** @returns null for numbers that are no answer of the model: its workers refuse them, too */
function shortAnswer({ labels = null, embedding = null }: Record<string, unknown>) {
  const { data: answer } = Answer.safeParse({ labels, embedding });
  if (answer === undefined) return null;
  return {
    labels: answer.labels?.slice(0, MOST_VALUES) ?? null,
    embedding: answer.embedding?.slice(0, MOST_VALUES) ?? null,
  };
}
