/** Our signatures as others check them, and others' as ours checks them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verifyWebhook, WebhookVerificationError } from '@headrace/client';
import { signatureHeaders } from '@headrace/shared/webhook-signature.ts';
import { Webhook } from 'standardwebhooks';
import { accepts, newSecret, tampered, VERIFIERS } from '../chaos/harness/signed-callbacks.ts';

const nowS = () => Math.floor(Date.now() / 1000);
const BODY = JSON.stringify({
  type: 'job.succeeded',
  timestamp: 't',
  data: { text: 'ü→\u2028😀' },
});
const SECRET = newSecret();
const sign = (...secrets: string[]) =>
  signatureHeaders(secrets, { id: 'msg_1', timestampS: nowS(), body: BODY });

for (const [name, verify] of Object.entries(VERIFIERS)) {
  describe(name, () => {
    test('accepts ours', async () => {
      const callback = { body: BODY, headers: sign(SECRET), secret: SECRET };
      assert.deepEqual(await verify(callback), JSON.parse(BODY));
    });

    test('accepts either secret while one takes the place of the other', async () => {
      const secrets = [newSecret(), newSecret()];
      const headers = sign(...secrets);
      assert.equal(headers['webhook-signature'].split(' ').length, 2);
      for (const secret of secrets) await verify({ body: BODY, headers, secret });
    });

    test('rejects whatever was tampered with', async () => {
      const variants = [...tampered({ body: BODY, headers: sign(SECRET), secret: SECRET })];
      const verdicts = variants.map(async ([change, callback]) =>
        (await accepts(verify, callback)) ? [change] : [],
      );
      assert.deepEqual((await Promise.all(verdicts)).flat(), []);
      assert.ok(variants.length > 100);
    });
  });
}

test('ours accepts what standardwebhooks signs, and says why it rejects', async () => {
  const date = new Date();
  const signature = new Webhook(SECRET).sign('msg_1', date, BODY);
  const headers = { ...sign(SECRET), 'webhook-signature': signature };
  headers['webhook-timestamp'] = String(Math.floor(date.getTime() / 1000));
  assert.deepEqual(await verifyWebhook(BODY, headers, { secret: SECRET }), JSON.parse(BODY));
  await verifyWebhook(BODY, new Headers(headers), { secret: [newSecret(), SECRET] });
  const capital = Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]);
  await verifyWebhook(BODY, Object.fromEntries(capital), { secret: SECRET });
  const refusal = verifyWebhook(BODY, headers, { secret: newSecret() });
  await assert.rejects(refusal, new WebhookVerificationError('no signature fits'));
});
