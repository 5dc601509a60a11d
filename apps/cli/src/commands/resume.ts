import { isFinished } from '@headrace/client';
import type { Command } from 'commander';
import { checkFormat, completeBatch } from '../batches/complete.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { checkOutputPath } from '../scoring/output-path.ts';
import type { Session } from '../session.ts';
import type { Commands } from './command.ts';

export function addResume({ program, run }: Commands): void {
  program
    .command('resume')
    .description('Go on with a batch; with -o, wait for it and fetch what it comes to.')
    .argument('<batch>', 'id of the batch')
    .option('-o, --output <file>', 'where the results go; - prints them')
    .action(async (id: string, { output }: { output?: string }, command: Command) => {
      if (output !== undefined) await checkOutputPath(output, null);
      await run(command, (session) => resume(session, id, output));
    });
}

async function resume(session: Session, id: string, output: string | undefined): Promise<ExitCode> {
  const { client, terminal, interrupt } = session;
  const call = { signal: interrupt };
  const found = await client.batches.get(id, call);
  if (output !== undefined) checkFormat(found, output);
  const isHeld = found.paused && !isFinished(found);
  const batch = isHeld ? await client.batches.resume(id, call) : found;
  if (output !== undefined) return completeBatch(session, id, output);
  await terminal.result(batch, `${id} is ${batch.status}\n`);
  return EXIT.ok;
}
