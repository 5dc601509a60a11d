import type { ApiKey, NewApiKey, Scope } from '@headrace/client';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { time } from '../terminal/numbers.ts';
import { table } from '../terminal/table.ts';
import { type Commands, upTo } from './command.ts';

interface CreateOptions {
  scope: Scope[];
  tenant?: string;
  days?: number;
}

const SCOPES: readonly Scope[] = ['jobs', 'batches', 'webhooks', 'admin'];
const MAX_DAYS = 3_650;
const MAX_KEYS = 100;

export function addKeys({ program, run }: Commands): void {
  const keys = program.command('keys').description('Create, list and revoke API keys.');
  keys
    .command('create')
    .description('Create a key and print it; the first one makes the server demand keys.')
    .argument('<name>', 'for people: what the key is for')
    .addOption(
      new Option('--scope <scopes>', `what it is good for: ${SCOPES.join(', ')}`)
        .argParser(scopesOf)
        .default(['jobs', 'batches'], 'jobs,batches'),
    )
    .option('--tenant <tenant>', 'whose jobs and files it sees (default: default)')
    .option('--days <days>', 'how long it works', upTo(MAX_DAYS))
    .action((name: string, { scope, tenant, days }: CreateOptions, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const expires_at =
          days === undefined ? null : Math.floor(Date.now() / 1000) + days * 86_400;
        const request = { name, tenant, scopes: scope, expires_at };
        const key = await client.keys.create(request, { signal: interrupt });
        terminal.say(created(key));
        await terminal.result(key, `${key.secret}\n`);
        return EXIT.ok;
      }),
    );
  addList({ keys, run });
}

function addList({ keys, run }: { keys: Command; run: Commands['run'] }): void {
  keys
    .command('list')
    .description('List the keys of all tenants, newest first.')
    .option('-n, --limit <count>', 'how many', upTo(MAX_KEYS), MAX_KEYS)
    .action(({ limit }: { limit: number }, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const { data } = await client.keys.list({ limit, signal: interrupt });
        await terminal.list(data, () => keysText(data));
        return EXIT.ok;
      }),
    );
  keys
    .command('revoke')
    .description('Revoke a key; the server refuses it within 10 s.')
    .argument('<key>', 'id of the key')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const key = await client.keys.revoke(id, { signal: interrupt });
        await terminal.result(key, () => keysText([key]));
        return EXIT.ok;
      }),
    );
}

function scopesOf(text: string): Scope[] {
  return text.split(',').map((word) => {
    const scope = SCOPES.find((each) => each === word.trim());
    if (scope === undefined) throw new InvalidArgumentError(`There are ${SCOPES.join(', ')}.`);
    return scope;
  });
}

function created({ id, tenant, scopes }: NewApiKey): string {
  return `${id} of tenant ${tenant}, for ${scopes.join(', ')}. It is shown this once:`;
}

function keysText(keys: readonly ApiKey[]): string {
  const head = ['KEY', 'NAME', 'TENANT', 'SCOPES', 'LAST USED', 'STATE'];
  return table([
    head,
    ...keys.map((key) => [
      ...[key.id, key.name, key.tenant, key.scopes.join(',')],
      key.last_used_at === null ? 'never' : time(key.last_used_at),
      stateOf(key),
    ]),
  ]);
}

function stateOf({ revoked_at, expires_at }: ApiKey): string {
  if (revoked_at !== null) return `revoked ${time(revoked_at)}`;
  if (expires_at === null) return 'works';
  return expires_at * 1000 > Date.now() ? `until ${time(expires_at)}` : 'expired';
}
