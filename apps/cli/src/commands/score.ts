import type { Batch, FileObject } from '@headrace/client';
import { HeadraceError } from '@headrace/client';
import { type Command, Option } from 'commander';
import { completeBatch, quoted } from '../batches/complete.ts';
import { report } from '../batches/deliver.ts';
import { followBatch } from '../batches/follow.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { batchRequest, type NewBatch, type ScoreOptions } from '../scoring/batch-request.ts';
import { INPUT_FORMATS, OUTPUT_FORMATS, STANDARD } from '../scoring/file-format.ts';
import { type Input, isInputUrl, openInput } from '../scoring/input.ts';
import { checkOutputPath } from '../scoring/output-path.ts';
import type { CommonOptions, Session } from '../session.ts';
import { estimateText } from '../terminal/batch-text.ts';
import { type Commands, priorityOption } from './command.ts';
import { addParameter } from './parameters.ts';

type Options = ScoreOptions & { output?: string; detach?: boolean };

const EXAMPLES = `
Examples:
  headrace score reviews.csv --model sentiment --text review -o scored.parquet
  cat texts.jsonl | headrace score - --model sentiment > scored.jsonl
  headrace score reviews.csv.gz --model sentiment --text review --dry-run
  headrace score requests.jsonl --endpoint /v1/embeddings -o answers.jsonl`;

export function addScore({ program, run }: Commands): void {
  program
    .command('score')
    .description('Score a file, row by row, and fetch the results in the same order.')
    .argument(
      '<input>',
      'file to score; - is the standard input (lines of JSON); what is at s3://… or file:///… the ' +
        'server reads itself, where its operator allows it',
    )
    .option('-m, --model <name>', 'model: name or name@version')
    .option('-o, --output <file>', 'where the results go; without it, lines of JSON are printed')
    .option('--text <column>', 'column or field with the text (default: text)')
    .option('--text-pair <column>', 'column or field with the second text of a pair')
    .option('--id <column>', 'column or field that is carried over with --no-join')
    .addOption(new Option('--format <format>', 'of the input').choices(INPUT_FORMATS))
    .addOption(new Option('--output-format <format>', 'of the output').choices(OUTPUT_FORMATS))
    .option('--join', "the input's columns beside the answers (the default)")
    .option('--no-join', 'the answers alone, each with its line and its --id')
    .option('--param <key=value>', "of the model's task, such as top_k=3; repeatable", addParameter)
    .addOption(priorityOption())
    .option('--window <time>', 'when it expires: 1h to 7d (default: 24h)')
    .addOption(
      new Option(
        '--endpoint <path>',
        'the lines are requests for it, each with a custom_id',
      ).choices(['/v1/jobs', '/v1/embeddings']),
    )
    .option('--webhook <url>', 'is told of the end by a signed POST')
    .option('--dry-run', 'check, count and estimate; run nothing')
    .option('--detach', 'do not wait for the results; prints the id of the batch')
    .addHelpText('after', EXAMPLES)
    .action(async (input: string, options: Options, command: Command) => {
      const { output = STANDARD, detach = false, ...scoring } = options;
      const request = batchRequest(input, output, scoring);
      refuseContradictions(command.optsWithGlobals(), options);
      await checkOutputPath(output, input);
      await run(command, (session) => score(session, { input, output, request, detach }));
    });
}

function refuseContradictions(common: CommonOptions, options: Options): void {
  const { output = STANDARD, detach, dryRun } = options;
  if (detach === true && common.local === true) {
    throw usage('--detach: a --local server ends with this command');
  }
  if (common.json === true && output === STANDARD && detach !== true && dryRun !== true) {
    throw usage('--json: the results go to the standard output already', 'Give a file with -o.');
  }
}

interface Scoring {
  input: string;
  output: string;
  request: NewBatch;
  detach: boolean;
}

async function score(session: Session, scoring: Scoring): Promise<ExitCode> {
  const { terminal, command } = session;
  const { request, output, detach } = scoring;
  const { file, batch } = await submitInput(session, scoring);
  if (request.dry_run === true) return dryRun(session, { file, batch });
  if (detach) {
    const fetch = command(`resume ${batch.id} -o ${quoted(output)}`);
    terminal.say(`It runs. To wait for it and fetch the results:\n  ${fetch}`);
    await terminal.result(batch, `${batch.id}\n`);
    return EXIT.ok;
  }
  terminal.say(`${batch.id}: Ctrl-C pauses it`);
  return completeBatch(session, batch.id, output);
}

/** Well-formed, and nobody's. */
const NO_FILE = `file-${'0'.repeat(26)}`;

/**
 * Lets the server check the request before gigabytes are sent for it: of what may be wrong with
 * one, it looks at the input last.
 */
async function checkRequest({ client, interrupt }: Session, request: NewBatch): Promise<void> {
  try {
    const call = { signal: interrupt, maxRetries: 1 };
    await client.batches.create({ ...request, input_file_id: NO_FILE }, call);
  } catch (error) {
    if (!(error instanceof HeadraceError) || error.param !== 'input_file_id') throw error;
  }
}

/** The file is one that was sent for it; null where the input stays where it is. */
interface Submitted {
  batch: Batch;
  file: FileObject | null;
}

async function submitInput(
  session: Session,
  { input: path, request }: Scoring,
): Promise<Submitted> {
  if (isInputUrl(path)) {
    const batch = await session.client.batches.create({ ...request, input_url: path });
    return { file: null, batch };
  }
  const input = await openInput(path, session.stdin);
  try {
    await checkRequest(session, request);
    return await submit(session, input, request);
  } finally {
    input.close();
  }
}

async function submit(session: Session, input: Input, request: NewBatch): Promise<Submitted> {
  const { client, terminal, interrupt } = session;
  const file = await client.files.upload({
    content: input.content,
    filename: input.filename,
    purpose: request.endpoint === undefined ? 'user_data' : 'batch',
    onProgress: (done) => {
      terminal.progress.show({ label: 'uploading', done, total: input.bytes, unit: 'bytes' });
    },
    signal: interrupt,
  });
  terminal.progress.clear();
  try {
    // Not to be interrupted: nobody would know whether there is a batch to be paused.
    return { file, batch: await client.batches.create({ ...request, input_file_id: file.id }) };
  } catch (error) {
    await discard(session, file);
    throw error;
  }
}

async function dryRun(session: Session, { file, batch }: Submitted): Promise<ExitCode> {
  const { terminal } = session;
  try {
    const done = await followBatch(session, batch.id);
    const { estimate } = done;
    if (done.status !== 'completed') return report(session, done, { output: null, errors: null });
    await terminal.result(
      done,
      estimate === null ? 'No row can be run.\n' : estimateText(estimate),
    );
    const invalid = estimate === null || estimate.invalid_rows > 0;
    return invalid ? EXIT.rowsFailed : EXIT.ok;
  } finally {
    // Nobody needs it any more.
    if (file !== null) await discard(session, file);
  }
}

async function discard({ client }: Session, { id }: FileObject): Promise<void> {
  await client.files.delete(id, { maxRetries: 0 }).catch(() => undefined);
}
