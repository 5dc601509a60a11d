import { createCli } from './cli.ts';
import { EXIT } from './exit-codes.ts';
import { createInterrupts } from './interrupts.ts';
import { startLocal } from './local/instance.ts';

const { env, stdout, stderr } = process;
const interrupts = createInterrupts({ exit: () => process.exit(EXIT.interrupted) });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupts.press);
// Whoever read what we write has gone, such as `head`.
for (const stream of [stdout, stderr]) stream.on('error', () => process.exit(EXIT.failed));
// Started by an older Node that may be killed.
if (process.channel) process.once('disconnect', () => process.exit(EXIT.interrupted));
process.channel?.unref();

const cli = createCli({
  ...{ env, stdout, stderr, stdin: () => process.stdin, interrupt: interrupts.signal },
  startLocal: (options) => startLocal({ ...options, env }),
});
process.exitCode = await cli.run(process.argv.slice(2));
