import type { Job } from '@headrace/client';
import type { Command } from 'commander';
import { report } from '../batches/deliver.ts';
import { followBatch } from '../batches/follow.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { Session } from '../session.ts';
import { jobText } from '../terminal/job-text.ts';
import { type Commands, kindOf } from './command.ts';

export function addWait({ program, run }: Commands): void {
  program
    .command('wait')
    .description('Wait until a job or a batch has finished.')
    .argument('<id>', 'of a job or of a batch')
    .action(async (id: string, _: object, command: Command) => {
      const waitFor = kindOf(id) === 'job' ? waitForJob : waitForBatch;
      await run(command, (session) => waitFor(session, id));
    });
}

async function waitForJob({ client, terminal, interrupt }: Session, id: string): Promise<ExitCode> {
  const job = await client.jobs.wait(id, { signal: interrupt });
  await terminal.result(job, () => jobText(job));
  return jobExitCode(job);
}

async function waitForBatch(session: Session, id: string): Promise<ExitCode> {
  const { terminal, command } = session;
  const batch = await followBatch(session, id);
  if (terminal.json) await terminal.result(batch, '');
  if (batch.output_file_id !== null) {
    terminal.say(`To fetch the results:\n  ${command(`results ${id} -o FILE`)}`);
  }
  return report(session, batch, { output: null, errors: null });
}

/** What a finished job came to. */
export function jobExitCode({ status, usage }: Job): ExitCode {
  if (status !== 'succeeded') return EXIT.failed;
  return (usage?.failed_rows ?? 0) > 0 ? EXIT.rowsFailed : EXIT.ok;
}
