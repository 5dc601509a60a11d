import type { Model } from '@headrace/client';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { count } from '../terminal/numbers.ts';
import { table } from '../terminal/table.ts';
import type { Commands } from './command.ts';

export function addModels({ program, run }: Commands): void {
  program
    .command('models')
    .description('List the models, what they do and how busy they are.')
    .action((_: object, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const models = await client.models.list({ signal: interrupt });
        await terminal.list(models, () => modelsText(models));
        return EXIT.ok;
      }),
    );
}

const HEAD = ['MODEL', 'TASK', 'ANSWERS', 'MAX TOKENS', 'WORKERS', 'ROWS WAITING'];

function modelsText(models: readonly Model[]): string {
  return table([
    HEAD,
    ...models.map((model) => [
      `${model.id}@${model.version}${model.default ? ' (default)' : ''}`,
      model.task,
      model.labels?.join(', ') ?? `${model.dimensions ?? '?'} numbers`,
      count(model.max_tokens),
      count(model.ready_workers),
      count(model.backlog.rows),
    ]),
  ]);
}
