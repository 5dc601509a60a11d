import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Manifest, ManifestSchema } from '../../packages/shared/src/manifests.ts';
import {
  bindTask,
  TASK_NAMES,
  TASKS,
  type TaskName,
} from '../../packages/shared/src/tasks/index.ts';
import { type TaskCases, taskSuite } from './task.suite.ts';

const MALFORMED_EMBEDDING = [
  { says: 'no dimensions', parameters: { dimensions: 0 }, field: 'dimensions' },
  { says: 'a normalize that is no boolean', parameters: { normalize: 'yes' }, field: 'normalize' },
  {
    says: 'an unknown encoding',
    parameters: { encoding_format: 'hex' },
    field: 'encoding_format',
  },
];
const TOO_MANY_DIMENSIONS = {
  says: 'more dimensions than the model has',
  parameters: { dimensions: 5 },
  param: 'parameters.dimensions',
};

/** Every task has at least one model here; a new task without one does not pass. */
const SUITES: Record<TaskName, [Manifest, TaskCases][]> = {
  'text-classification': [
    [labelled('tiny-classifier', ['bad', 'fair', 'good']), classifier()],
    [labelled('tiny-multilabel', ['late', 'broken', 'dear', 'rude']), multiLabel()],
  ],
  embeddings: [
    [embedder({ pooling: 'mean', normalize: true, dimensions: 4 }), unitEmbedder()],
    [embedder({ pooling: 'cls', normalize: false, dimensions: 4 }), plainEmbedder()],
    [embedder({ pooling: 'graph', normalize: true, dimensions: 4 }), graphEmbedder()],
  ],
};

test('every task has its cases', () => {
  assert.deepEqual(Object.keys(SUITES).sort(), Object.keys(TASKS).sort());
  assert.deepEqual([...TASK_NAMES].sort(), Object.keys(TASKS).sort());
  for (const name of TASK_NAMES) assert.ok(SUITES[name].length > 0, name);
});

for (const name of TASK_NAMES) {
  for (const [manifest, cases] of SUITES[name]) taskSuite(name, manifest, cases);
}

test('the pooling of an embedding model is the one that its manifest names', () => {
  for (const pooling of ['mean', 'cls', 'max'] as const) {
    const manifest = embedder({ pooling, normalize: true, dimensions: 4 });
    assert.equal(bindTask(manifest).pooling(), pooling);
  }
});

function classifier(): TaskCases {
  const thirds = [Math.log(1), Math.log(2), Math.log(5)];
  return {
    pooling: 'none',
    malformed: [
      { says: 'a top_k of nothing', parameters: { top_k: 0 }, field: 'top_k' },
      { says: 'a top_k that is no integer', parameters: { top_k: 1.5 }, field: 'top_k' },
      {
        says: 'raw_scores that are no boolean',
        parameters: { raw_scores: 1 },
        field: 'raw_scores',
      },
    ],
    refused: [
      {
        says: 'a top_k beyond the labels',
        parameters: { top_k: 4 },
        param: 'parameters.top_k',
      },
    ],
    answers: [
      {
        says: 'the best label with its share of one',
        raw: thirds,
        activated: [1 / 8, 2 / 8, 5 / 8],
        output: { labels: [{ label: 'good', score: 5 / 8 }] },
      },
      {
        says: 'as many labels as asked for, best first',
        parameters: { top_k: 3 },
        raw: [thirds[1] ?? 0, thirds[2] ?? 0, thirds[0] ?? 0],
        output: {
          labels: [
            { label: 'fair', score: 5 / 8 },
            { label: 'bad', score: 2 / 8 },
            { label: 'good', score: 1 / 8 },
          ],
        },
      },
      {
        says: 'the labels in their own order where scores are equal',
        parameters: { top_k: 2 },
        raw: [1, 1, 1],
        output: {
          labels: [
            { label: 'bad', score: 1 / 3 },
            { label: 'fair', score: 1 / 3 },
          ],
        },
      },
      {
        says: 'logits as they are, if raw scores are asked for',
        parameters: { raw_scores: true, top_k: 2 },
        raw: [-3, 7.25, 0.5],
        activated: [-3, 7.25, 0.5],
        output: {
          labels: [
            { label: 'fair', score: 7.25 },
            { label: 'good', score: 0.5 },
          ],
        },
      },
      {
        says: 'finite shares for logits beyond what exp can take',
        raw: [1000, 0, -1000],
        activated: [1, 0, 0],
        output: { labels: [{ label: 'bad', score: 1 }] },
      },
    ],
  };
}

function multiLabel(): TaskCases {
  const logit = (p: number) => Math.log(p / (1 - p));
  const raw = [logit(0.1), logit(0.9), logit(0.6), logit(0.3)];
  return {
    pooling: 'none',
    malformed: [],
    refused: [
      { says: 'a top_k beyond the labels', parameters: { top_k: 5 }, param: 'parameters.top_k' },
    ],
    answers: [
      {
        says: 'all labels, each with a score of its own',
        raw,
        activated: [0.1, 0.9, 0.6, 0.3],
        output: {
          labels: [
            { label: 'broken', score: 0.9 },
            { label: 'dear', score: 0.6 },
            { label: 'rude', score: 0.3 },
            { label: 'late', score: 0.1 },
          ],
        },
      },
      {
        says: 'fewer labels if asked for',
        parameters: { top_k: 1 },
        raw,
        output: { labels: [{ label: 'broken', score: 0.9 }] },
      },
      {
        says: 'finite scores for logits beyond what exp can take',
        parameters: { top_k: 2 },
        raw: [1000, -1000, -1000, -1000],
        output: {
          labels: [
            { label: 'late', score: 1 },
            { label: 'broken', score: 0 },
          ],
        },
      },
    ],
  };
}

function unitEmbedder(): TaskCases {
  return {
    pooling: 'mean',
    malformed: MALFORMED_EMBEDDING,
    refused: [TOO_MANY_DIMENSIONS],
    answers: [
      {
        says: 'a vector of length 1, as the model declares',
        raw: [3, 0, 4, 0],
        activated: [3, 0, 4, 0],
        output: { embedding: [0.6, 0, 0.8, 0] },
      },
      {
        says: 'the vector as it is, if told so',
        parameters: { normalize: false },
        raw: [3, 0, 4, 0],
        output: { embedding: [3, 0, 4, 0] },
      },
      {
        says: 'its first numbers, with length 1 again',
        parameters: { dimensions: 2 },
        raw: [0.6, 0.8, 5, 5],
        output: { embedding: [0.6, 0.8] },
      },
      {
        says: 'a vector of zeros as it is',
        raw: [0, 0, 0, 0],
        output: { embedding: [0, 0, 0, 0] },
      },
    ],
  };
}

function plainEmbedder(): TaskCases {
  const numbers = Float32Array.from([0.1, -2.5, 3.25e-20, 65504]);
  return {
    pooling: 'cls',
    malformed: MALFORMED_EMBEDDING,
    refused: [TOO_MANY_DIMENSIONS],
    answers: [
      {
        says: 'the vector as it is, as the model declares',
        raw: [3, 0, 4, 0],
        output: { embedding: [3, 0, 4, 0] },
      },
      {
        says: 'a vector of length 1, if told so, after the cut',
        parameters: { normalize: true, dimensions: 3 },
        raw: [3, 0, 4, 100],
        output: { embedding: [0.6, 0, 0.8] },
      },
      {
        says: 'base64 of little-endian float32, bit for bit',
        parameters: { encoding_format: 'base64' },
        raw: Array.from(numbers),
        check: ({ embedding }) => assert.deepEqual(decodeBase64(embedding), Array.from(numbers)),
      },
      {
        says: 'base64 of the cut vector',
        parameters: { encoding_format: 'base64', dimensions: 1 },
        raw: [1, 2, 3, 4],
        output: { embedding: 'AACAPw==' },
      },
    ],
  };
}

function graphEmbedder(): TaskCases {
  return {
    pooling: 'none',
    malformed: MALFORMED_EMBEDDING,
    refused: [
      TOO_MANY_DIMENSIONS,
      {
        says: 'vectors that are not of length 1, which the graph does not give',
        parameters: { normalize: false },
        param: 'parameters.normalize',
      },
    ],
    answers: [
      {
        says: 'what the graph gives, bit for bit',
        raw: [0.6, 0, 0.8, 0],
        check: ({ embedding }) =>
          assert.deepEqual(embedding, Array.from(Float32Array.from([0.6, 0, 0.8, 0]))),
      },
      {
        says: 'a mean of chunks, which is shorter, with length 1 again',
        raw: [0.3, 0, 0.4, 0],
        output: { embedding: [0.6, 0, 0.8, 0] },
      },
    ],
  };
}

function decodeBase64(encoded: unknown): number[] {
  assert.ok(typeof encoded === 'string');
  const bytes = Buffer.from(encoded, 'base64');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(i * 4, true));
}

function labelled(model: string, labels: string[]): Manifest {
  return ManifestSchema.parse({ ...readManifest(model), labels });
}

function embedder(traits: {
  pooling: 'graph' | 'mean' | 'cls' | 'max';
  normalize: boolean;
  dimensions: number;
}): Manifest {
  return ManifestSchema.parse({ ...readManifest('tiny-embedder'), ...traits });
}

function readManifest(model: string): object {
  const url = new URL(`../fixtures/models/${model}/1/model.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8'));
}
