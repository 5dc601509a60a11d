import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { type Commands, kindOf } from './command.ts';

export function addCancel({ program, run }: Commands): void {
  program
    .command('cancel')
    .description('Cancel a job, or a batch: its rows that are done stay.')
    .argument('<id>', 'of a job or of a batch')
    .action(async (id: string, _: object, command: Command) => {
      const kind = kindOf(id);
      await run(command, async ({ client, terminal, interrupt }) => {
        const call = { signal: interrupt };
        const ended =
          kind === 'job'
            ? await client.jobs.cancel(id, call)
            : await client.batches.cancel(id, call);
        await terminal.result(ended, `${id} is ${ended.status}\n`);
        return EXIT.ok;
      });
    });
}
