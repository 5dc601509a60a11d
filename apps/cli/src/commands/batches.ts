import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { batchesText } from '../terminal/batch-text.ts';
import { type Commands, upTo } from './command.ts';

export function addBatches({ program, run }: Commands): void {
  program
    .command('batches')
    .description('List batches, newest first.')
    .option('-n, --limit <count>', 'how many', upTo(100), 20)
    .action(({ limit }: { limit: number }, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const { data } = await client.batches.list({ limit, signal: interrupt });
        await terminal.list(data, () => batchesText(data));
        return EXIT.ok;
      }),
    );
}
