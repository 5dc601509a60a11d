import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { createCli } from '../../apps/cli/src/cli.ts';
import { EXIT } from '../../apps/cli/src/exit-codes.ts';
import { createInterrupts } from '../../apps/cli/src/interrupts.ts';

/** What a command writes that never gets as far as a server. */
async function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const stdout = new Writable({
    write(chunk, _, done) {
      out.push(String(chunk));
      done();
    },
  });
  const exitCode = await createCli({
    env: {},
    stdin: () => Readable.from([]),
    stdout,
    stderr: { write: (text) => err.push(text) },
    interrupt: new AbortController().signal,
    startLocal: () => assert.fail('a server was started'),
  }).run(args);
  return { exitCode, out: out.join(''), err: err.join('') };
}

describe('help', () => {
  test('lists the commands, the variables and the exit codes', async () => {
    const { exitCode, out } = await run('--help');
    assert.equal(exitCode, EXIT.ok);
    for (const code of Object.values(EXIT)) assert.match(out, new RegExp(`^ {2}${code} +\\S`, 'm'));
    for (const word of ['score', 'resume', 'HEADRACE_URL', 'HEADRACE_API_KEY']) {
      assert.match(out, new RegExp(`^ {2}${word}\\b`, 'm'));
    }
  });

  test('of a command shows its options and those of all', async () => {
    const { out } = await run('score', '--help');
    for (const option of ['--no-join', '--param', '--dry-run', '--local', '--json']) {
      assert.match(out, new RegExp(`^ +(-\\w, )?${option}\\b`, 'm'));
    }
  });
});

describe('what makes no sense', () => {
  const wrong: [string[], RegExp][] = [
    [['scroe'], /unknown command/],
    [['score'], /missing required argument/],
    [['score', 'a.csv', '--model', 'm', '--frmat', 'csv'], /unknown option.*\n.*--format/],
    [['score', 'a.csv', '--model', 'm', '--format', 'xml'], /Allowed choices/],
    [['score', 'a.csv'], /--model is missing/],
    [['score', 'a.dat', '--model', 'm'], /its name does not say what it holds/],
    [['score', 'a.csv', '--model', 'm', '--param', 'x'], /key=value/],
    [['score', 'a.csv', '--model', 'm', '-o', './a.csv'], /is the input as well/],
    [['score', 'a.csv', '--model', 'm', '-o', 'no/where/b.csv'], /no\/where is not there/],
    [['score', 'a.csv', '--model', 'm', '--json'], /Give a file with -o/],
    [['score', 'a.csv', '--model', 'm', '--local', '--detach'], /ends with this command/],
    [['batches', '--limit', '101'], /from 1 to 100/],
    [['wait', 'file-1'], /neither the id of a job/],
    [['retry', 'job_1', '-o', 'a.csv'], /is a job/],
  ];
  for (const [args, message] of wrong) {
    test(`is refused before anything is asked: ${args.join(' ')}`, async () => {
      const { exitCode, out, err } = await run(...args);
      assert.equal(exitCode, EXIT.usage);
      assert.equal(out, '');
      assert.match(err, message);
    });
  }

  test('is told in JSON to those who read JSON', async () => {
    const { err } = await run('--json', 'wait', 'x');
    assert.match(JSON.parse(err).error.message, /neither/);
  });
});

test('a second Ctrl-C ends at once, unless it is the first one passed on by npm', () => {
  let nowMs = 1_000;
  let exits = 0;
  const { signal, press } = createInterrupts({ exit: () => (exits += 1), now: () => nowMs });
  press();
  assert.ok(signal.aborted);
  nowMs += 10;
  press();
  assert.equal(exits, 0);
  nowMs += 1_000;
  press();
  assert.equal(exits, 1);
});
