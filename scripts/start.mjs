import { bootstrap } from './bootstrap.mjs';

await bootstrap({ redis: !process.env.REDIS_URL }, async ({ redisServer }) => {
  // Loaded after set-up: it uses what only Node 24 and the dependencies give.
  const { start } = await import('./start/start.mjs');
  return start({ redisServer, env: process.env });
});
