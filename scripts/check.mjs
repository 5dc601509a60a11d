import { bootstrap } from './bootstrap.mjs';
import { SetupError } from './setup/setup-error.mjs';

const USAGE = `usage: npm test                       the whole gate: types, lint, dead code, tests
       npm test -- tests/unit/x.test.ts   these test files alone
       npm test -- --only types           one step alone: types, lint, dead-code or tests
       npm run format                     writes what lint would have`;

await bootstrap(needsOf(process.argv.slice(2)), async (tools) => {
  // Loaded after set-up: it may use what only Node 24 has.
  const { parseGate, runGate } = await import('./check/gate.mjs');
  const plan = parseGate(process.argv.slice(2));
  if (plan === null) throw new SetupError(USAGE);
  return runGate(plan, tools);
});

/** @param {string[]} args */
function needsOf(args) {
  const tests = !args.includes('--fix') && !['types', 'lint', 'dead-code'].includes(args[1] ?? '');
  const files = args.filter((arg) => !arg.startsWith('-') && arg !== 'tests');
  return {
    redis: tests,
    chromium: tests && (files.length === 0 || files.some((file) => file.includes('browser'))),
  };
}
