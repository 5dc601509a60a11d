import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { quoted } from '../../apps/cli/src/batches/complete.ts';
import { addParameter } from '../../apps/cli/src/commands/parameters.ts';
import { EXIT } from '../../apps/cli/src/exit-codes.ts';
import { Failure } from '../../apps/cli/src/failure.ts';
import { batchRequest, type ScoreOptions } from '../../apps/cli/src/scoring/batch-request.ts';
import {
  inputFormat,
  outputFormat,
  outputPacking,
} from '../../apps/cli/src/scoring/file-format.ts';

function isUsage(pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof Failure, `${error}`);
    assert.equal(error.exitCode, EXIT.usage);
    assert.match(`${error.message}\n${error.hint}`, pattern);
    return true;
  };
}

describe('the format of a file', () => {
  test('is what its name says, packed or not', () => {
    const names = {
      'reviews.csv': 'csv',
      'a/b.c/REVIEWS.TSV': 'tsv',
      'x.y.jsonl': 'jsonl',
      'x.ndjson.gz': 'jsonl',
      'x.parquet': 'parquet',
      'x.txt.zst': 'text',
      '-': 'jsonl',
    };
    for (const [name, format] of Object.entries(names)) {
      assert.equal(inputFormat(name, undefined), format, name);
    }
    assert.equal(inputFormat('reviews.csv', 'text'), 'text');
    assert.equal(inputFormat('-', 'csv'), 'csv');
  });

  test('has to be given where the name does not say it', () => {
    for (const name of ['reviews', 'reviews.dat', 'csv', '.gz', 'a.csv/b']) {
      assert.throws(() => inputFormat(name, undefined), isUsage(/--format csv\|tsv/));
    }
  });

  test('of an output is one that is written', () => {
    const of = (path: string) => outputFormat({ path, given: undefined });
    assert.deepEqual(['a.csv', 'a.jsonl.gz', 'a.parquet', '-'].map(of), [
      'csv',
      'jsonl',
      'parquet',
      'jsonl',
    ]);
    assert.equal(outputFormat({ path: 'a.out', given: 'csv' }), 'csv');
    assert.throws(
      () => of('a.tsv'),
      isUsage(/tsv is not written[\s\S]*\.csv, \.jsonl or \.parquet/),
    );
    assert.throws(() => of('a'), isUsage(/--output-format/));
    assert.throws(
      () => outputFormat({ path: 'a.csv.gz', given: 'jsonl' }),
      isUsage(/named like csv/),
    );
    assert.throws(() => of('a.parquet.gz'), isUsage(/packed already/));
    assert.deepEqual(['a.csv.gz', 'a.csv.zst', 'a.csv', '-'].map(outputPacking), [
      'gzip',
      'zstd',
      null,
      null,
    ]);
  });
});

describe('the batch that is asked for', () => {
  test('joins unless told not to, and leaves to the server what is not given', () => {
    assert.deepEqual(batchRequest('a.csv', 'b.parquet', { model: 'm' }), {
      model: 'm',
      documents: { format: 'csv' },
      output: { format: 'parquet', join: true },
    });
    const all: ScoreOptions = {
      ...{ model: 'm', text: 't', textPair: 'p', id: 'i', format: 'tsv' as const, join: false },
      ...{ outputFormat: 'csv' as const, param: { top_k: 2 }, priority: 'low' as const },
      ...{ window: '2d', dryRun: true, webhook: 'https://hooks.example/' },
    };
    assert.deepEqual(batchRequest('a', '-', all), {
      model: 'm',
      documents: { format: 'tsv', text: 't', text_pair: 'p', id: 'i' },
      output: { format: 'csv', join: false },
      parameters: { top_k: 2 },
      priority: 'low',
      completion_window: '2d',
      webhook: { url: 'https://hooks.example/' },
      dry_run: true,
    });
  });

  test('of requests says nothing of documents', () => {
    const endpoint = '/v1/embeddings';
    assert.deepEqual(batchRequest('a.dat', 'b.jsonl', { endpoint }), { endpoint });
    const asked = () => batchRequest('a.jsonl', 'b.jsonl', { endpoint, text: 't' });
    assert.throws(asked, isUsage(/--text is for documents/));
    assert.throws(() => batchRequest('a.jsonl', 'b.csv', { endpoint }), isUsage(/\.jsonl/));
  });

  test('of documents needs a model', () => {
    assert.throws(() => batchRequest('a.csv', '-', {}), isUsage(/--model is missing/));
  });
});

test('a parameter is JSON where it can be, else text', () => {
  let all: Record<string, unknown> | undefined;
  for (const pair of ['top_k=3', 'raw=true', 'name=a=b', 'list=[1]']) all = addParameter(pair, all);
  assert.deepEqual(all, { top_k: 3, raw: true, name: 'a=b', list: [1] });
  for (const pair of ['top_k', '=3']) assert.throws(() => addParameter(pair), isUsage(/key=value/));
});

test('a name is quoted where a shell would not take it as it is', () => {
  assert.equal(quoted('a/b-c.csv.gz'), 'a/b-c.csv.gz');
  assert.equal(quoted("it's mine.csv"), `'it'\\''s mine.csv'`);
});
