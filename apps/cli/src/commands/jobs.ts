import type { Job } from '@headrace/client';
import { type Command, Option } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { jobsText } from '../terminal/job-text.ts';
import { type Commands, upTo } from './command.ts';

interface Options {
  status?: Job['status'];
  model?: string;
  limit: number;
}

const STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'] as const;

export function addJobs({ program, run }: Commands): void {
  program
    .command('jobs')
    .description('List jobs, newest first.')
    .addOption(new Option('--status <status>', 'only these').choices(STATUSES))
    .option('-m, --model <name>', 'only of this model')
    .option('-n, --limit <count>', 'how many', upTo(100), 20)
    .action((options: Options, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const jobs = await client.jobs.list({ ...options, signal: interrupt });
        await terminal.list(jobs.data, () => jobsText(jobs.data));
        return EXIT.ok;
      }),
    );
}
