import { type Batch, isFinished } from '@headrace/client';
import type { Command } from 'commander';
import { checkFormat, quoted } from '../batches/complete.ts';
import { download, save } from '../batches/download.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { STANDARD } from '../scoring/file-format.ts';
import { checkOutputPath } from '../scoring/output-path.ts';
import type { Session } from '../session.ts';
import { counted } from '../terminal/numbers.ts';
import type { Commands } from './command.ts';

interface Options {
  output?: string;
  errors?: boolean;
  follow?: boolean;
  after?: string;
}

export function addResults({ program, run }: Commands): void {
  program
    .command('results')
    .description('Fetch the results of a batch; while it runs, those of the rows that are done.')
    .argument('<batch>', 'id of the batch')
    .option('-o, --output <file>', 'where they go; without it they are printed')
    .option('--errors', 'the rows that failed instead')
    .option('--follow', 'go on until the batch has finished')
    .option('--after <place>', 'go on after the place where an earlier call has stopped')
    .action(async (id: string, options: Options, command: Command) => {
      await checkOutputPath(options.output ?? STANDARD, null);
      await run(command, (session) => results(session, id, options));
    });
}

async function results(session: Session, id: string, options: Options): Promise<ExitCode> {
  const { client, terminal, interrupt } = session;
  const { output = STANDARD, errors = false, after } = options;
  const batch = await client.batches.get(id, { signal: interrupt });
  if (!errors) checkFormat(batch, output);
  if (!isFinished(batch) || after !== undefined) return rows(session, batch, options);
  const fileId = errors ? batch.error_file_id : batch.output_file_id;
  if (fileId === null) {
    terminal.say(errors ? 'No row has failed.' : `${id} is ${batch.status} and has no results.`);
    return EXIT.ok;
  }
  await download(session, { fileId, path: output, label: 'downloading' });
  return EXIT.ok;
}

/** Lines of JSON, page by page. */
async function rows(session: Session, batch: Batch, options: Options): Promise<ExitCode> {
  const { client, terminal, interrupt, command } = session;
  const { output = STANDARD, errors = false, follow = false, after } = options;
  const format = errors ? 'jsonl' : (batch.output?.format ?? 'jsonl');
  if (format !== 'jsonl' && (follow || output !== STANDARD)) {
    const whole = command(`resume ${batch.id} -o ${quoted(output === STANDARD ? 'FILE' : output)}`);
    throw usage(`${batch.id} writes ${format}, which is whole only at its end`, `Use: ${whole}`);
  }
  const kind = errors ? ('errors' as const) : ('output' as const);
  const reading = { place: after ?? null, count: 0, finished: false };
  const query = { kind, follow, after, signal: interrupt };
  await save(lines(), { path: output, stdout: terminal.stdout, signal: interrupt });
  if (!reading.finished && reading.place !== null) {
    const more = command(
      `results ${batch.id}${errors ? ' --errors' : ''} --after ${reading.place}`,
    );
    terminal.say(`${counted(reading.count, 'row')} so far. To go on from here:\n  ${more}`);
  }
  return EXIT.ok;

  async function* lines(): AsyncGenerator<Uint8Array> {
    for await (const page of client.batches.results(batch.id, query)) {
      yield Buffer.from(page.data.map((row) => `${JSON.stringify(row)}\n`).join(''));
      reading.place = page.next;
      reading.count += page.data.length;
      reading.finished = page.finished;
    }
  }
}
