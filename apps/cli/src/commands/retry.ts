import type { Command } from 'commander';
import { checkFormat, completeBatch } from '../batches/complete.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { checkOutputPath } from '../scoring/output-path.ts';
import type { Session } from '../session.ts';
import { type Commands, kindOf } from './command.ts';

export function addRetry({ program, run }: Commands): void {
  program
    .command('retry')
    .description('Run a job that did not succeed, or the rows of a batch that failed, once more.')
    .argument('<id>', 'of a job or of a batch')
    .option('-o, --output <file>', 'of a batch: wait for it and fetch what it comes to')
    .action(async (id: string, { output }: { output?: string }, command: Command) => {
      const kind = kindOf(id);
      if (output !== undefined) {
        if (kind === 'job') throw usage(`-o: ${id} is a job; \`headrace wait\` shows its result`);
        await checkOutputPath(output, null);
      }
      await run(command, (session) =>
        kind === 'job' ? retryJob(session, id) : retryBatch(session, id, output),
      );
    });
}

async function retryJob({ client, terminal, interrupt }: Session, id: string): Promise<ExitCode> {
  const job = await client.jobs.retry(id, { signal: interrupt });
  await terminal.result(job, `${job.id}\n`);
  return EXIT.ok;
}

async function retryBatch(
  session: Session,
  id: string,
  output: string | undefined,
): Promise<ExitCode> {
  const { client, terminal, interrupt } = session;
  if (output !== undefined) {
    checkFormat(await client.batches.get(id, { signal: interrupt }), output);
  }
  const batch = await client.batches.retry(id);
  if (output === undefined) {
    await terminal.result(batch, `${batch.id}\n`);
    return EXIT.ok;
  }
  terminal.say(`${batch.id}: Ctrl-C pauses it`);
  return completeBatch(session, batch.id, output);
}
