import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { jobText } from '../terminal/job-text.ts';
import type { Commands } from './command.ts';

export function addGet({ program, run }: Commands): void {
  program
    .command('get')
    .description('Show a job and its result.')
    .argument('<job>', 'id of the job')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const job = await client.jobs.get(id, { signal: interrupt });
        await terminal.result(job, () => jobText(job));
        return EXIT.ok;
      }),
    );
}
