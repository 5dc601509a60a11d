import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import type { Commands } from './command.ts';

export function addPause({ program, run }: Commands): void {
  program
    .command('pause')
    .description('Begin no more of a batch until it is resumed.')
    .argument('<batch>', 'id of the batch')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, terminal, interrupt, command: words }) => {
        const batch = await client.batches.pause(id, { signal: interrupt });
        terminal.say(`To go on:\n  ${words(`resume ${id}`)}`);
        await terminal.result(batch, `${id} is paused\n`);
        return EXIT.ok;
      }),
    );
}
