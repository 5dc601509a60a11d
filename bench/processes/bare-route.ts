/** The least that a submission over HTTP costs: parse the body, `queue.add`, answer 202. */
import { newJobId } from '@headrace/shared/ids.ts';
import { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { bareJobOptions, openBareQueue } from '../bare-queue.ts';
import type { ServiceEnv } from '../system.ts';

process.on('disconnect', () => process.exit(0));
process.on('message', (env: ServiceEnv) => {
  const { queue } = openBareQueue('bare', env, new Lifecycle(() => undefined));
  const app = new Hono();
  app.post('/jobs', async (c) => {
    const body = await c.req.json();
    const id = newJobId(Date.now());
    await queue.add('infer', body, bareJobOptions(id));
    return c.json({ id }, 202);
  });
  serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => process.send?.(port));
});
