import type { ApiKey, NewApiKey, Scope } from '@headrace/client';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { usage } from '../failure.ts';
import { time } from '../terminal/numbers.ts';
import { table } from '../terminal/table.ts';
import { type Commands, upTo } from './command.ts';

interface CreateOptions {
  scope: Scope[];
  tenant?: string;
  days?: number;
  rateLimit?: number;
  burst?: number;
}

const SCOPES: readonly Scope[] = ['jobs', 'batches', 'webhooks', 'admin'];
const MAX_DAYS = 3_650;
const MAX_KEYS = 100;
const RATE = { min: 0.001, max: 1_000_000_000 };

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
    .option('--rate-limit <rows>', 'rows a second in the long run; needs --burst', rateOf)
    .option('--burst <rows>', 'rows at once after a pause; no job may have more', upTo(RATE.max))
    .action((name: string, options: CreateOptions, command: Command) =>
      run(command, async ({ client, terminal, interrupt }) => {
        const { scope, tenant, days } = options;
        const rate_limit = rateLimitOf(options);
        const expires_at =
          days === undefined ? null : Math.floor(Date.now() / 1000) + days * 86_400;
        const request = { name, tenant, scopes: scope, rate_limit, expires_at };
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

function rateOf(text: string): number {
  const rate = Number(text);
  if (text.trim() !== '' && rate >= RATE.min && rate <= RATE.max) return rate;
  throw new InvalidArgumentError(`It must be a number from ${RATE.min} to ${RATE.max}.`);
}

/** Null: as the server is configured. */
function rateLimitOf({ rateLimit, burst }: CreateOptions): NewApiKey['rate_limit'] {
  if (rateLimit === undefined && burst === undefined) return null;
  if (rateLimit === undefined) throw usage('--burst: goes with --rate-limit');
  if (burst === undefined)
    throw usage('--rate-limit: needs --burst, the rows that may come at once');
  return { rows_per_s: rateLimit, burst_rows: burst };
}

function created({ id, tenant, scopes, rate_limit: rate }: NewApiKey): string {
  const pace = rate === null ? '' : `, ${rate.rows_per_s} rows/s and ${rate.burst_rows} at once`;
  return `${id} of tenant ${tenant}, for ${scopes.join(', ')}${pace}. It is shown this once:`;
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
