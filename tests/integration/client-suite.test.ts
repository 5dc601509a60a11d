import { after, before, describe, test } from 'node:test';
import { createClient } from '@headrace/client';
import { CLIENT_CASES } from '../contract/client.suite.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';

const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters';

describe('the client, in Node, against a running Headrace', () => {
  let system: BulkSystem;
  before(async () => {
    system = await startBulkSystem({ HEADRACE_ADMIN_KEY: ADMIN_KEY });
  });
  after(() => system?.stop());

  for (const { name, run } of CLIENT_CASES) {
    test(name, async () => {
      const given = { baseUrl: system.apiUrl, apiKey: ADMIN_KEY };
      await run(createClient(given), given);
    });
  }
});
