import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { batchText } from '../terminal/batch-text.ts';
import type { Commands } from './command.ts';

export function addBatch({ program, run }: Commands): void {
  program
    .command('batch')
    .description('Show a batch and how far it has come.')
    .argument('<batch>', 'id of the batch')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const batch = await client.batches.get(id, { signal: interrupt });
        await terminal.result(batch, () => batchText(batch));
        return EXIT.ok;
      }),
    );
}
