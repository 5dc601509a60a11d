// What HEALTHCHECK asks: node health.mjs NAME_OF_THE_PORT'S_VARIABLE DEFAULT_PORT
const [variable = '', port] = process.argv.slice(2);
const url = `http://127.0.0.1:${process.env[variable] ?? port}/health`;
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(4_000) });
  process.exitCode = response.ok ? 0 : 1;
} catch {
  process.exitCode = 1;
}
