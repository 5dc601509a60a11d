import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '@headrace/shared/env.ts';
import { isPublicAddress } from '@headrace/shared/webhooks/public-address.ts';
import {
  isAllowedFor,
  parseReceiverRules,
  receiverProblem,
} from '@headrace/shared/webhooks/receiver-rules.ts';
import { parseDispatcherConfig } from '../../apps/dispatcher/src/config.ts';

const rulesOf = (allow?: string, ports = '80,443') =>
  parseReceiverRules({ HEADRACE_WEBHOOK_ALLOW: allow, HEADRACE_WEBHOOK_PORTS: ports });

describe('a public address', () => {
  test('is one beside each special range', () => {
    for (const address of [
      ...['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.0.0.1'],
      ...['128.0.0.1', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0'],
      ...['191.255.255.255', '192.0.1.0', '192.0.3.0', '192.167.255.255', '192.169.0.0'],
      ...['198.17.255.255', '198.20.0.0', '198.51.99.0', '203.0.112.255', '223.255.255.255'],
      ...['168.63.129.15', '168.63.129.17', '2000::1', '2001:200::1', '2001:db7::1', '2003::1'],
      ...['2606:4700::1111', '2620:4f:8001::1', '3fff:1000::1', '2a00::1'],
    ]) {
      assert.ok(isPublicAddress(address), address);
    }
  });
});

describe('the rules of receivers', () => {
  test('let ordinary URLs through', () => {
    for (const url of [
      ...['https://example.com', 'http://hooks.example.com/a?b=c#d', 'HTTPS://EXAMPLE.COM:443/'],
      ...['https://example.com:80/', 'https://xn--bcher-kva.example/', 'https://bücher.example/'],
      ...[
        'https://8.8.8.8/',
        'https://[2606:4700::1111]/',
        'https://example.com./',
        'http://a_b.c/',
      ],
    ]) {
      assert.equal(receiverProblem(url, rulesOf()), null, url);
    }
  });

  test('say what is wrong, and never repeat the URL', () => {
    const problem = (url: string) => receiverProblem(url, rulesOf());
    assert.match(problem('https://u:hunter2@example.com/') ?? '', /no user name and no password/);
    assert.match(problem('https://example.com:22/') ?? '', /port 80 or 443/);
    assert.match(problem('https://10.0.0.1/') ?? '', /inside address/);
    assert.match(problem('https://a.localhost/') ?? '', /inside name/);
    assert.match(problem('ftp://example.com/') ?? '', /https:\/\/ or http:\/\//);
    assert.match(problem(`https://example.com/${'x'.repeat(2_048)}`) ?? '', /2048 bytes/);
    assert.match(problem('https://example.com/ a') ?? '', /blank/);
  });

  test('an allowed range, address or name is let through, and only that', () => {
    const rules = rulesOf('10.1.0.0/16, 127.0.0.9,fd00:1::/32, Hooks.Internal.,localhost');
    for (const host of ['10.1.255.1', '127.0.0.9', '[fd00:1::5]', 'hooks.internal', 'localhost']) {
      assert.equal(receiverProblem(`http://${host}/`, rules), null, host);
    }
    for (const host of ['10.2.0.1', '127.0.0.1', '[fd00:2::5]', 'a.internal', 'a.hooks.internal']) {
      assert.notEqual(receiverProblem(`http://${host}/`, rules), null, host);
    }
    assert.ok(isAllowedFor('hooks.internal', '192.168.0.1', rules));
    assert.ok(!isAllowedFor('other.example', '192.168.0.1', rules));
    assert.ok(!isAllowedFor('other.example', 'nonsense', rules));
  });

  test('settings that say nothing, or not what they seem to, are refused', () => {
    for (const allow of [
      '10.0.0.0/33',
      '10.0.0.256',
      '10.1',
      '::1/129',
      'fe80::1%lo',
      'a b',
      '*',
    ]) {
      const env = { HEADRACE_WEBHOOK_ALLOW: `example.com,${allow}` };
      assert.throws(
        () => parseDispatcherConfig(env),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, /HEADRACE_WEBHOOK_ALLOW: entry 2 /);
          return true;
        },
      );
    }
    for (const ports of [',', '0', '65536', '80;443', 'https']) {
      const env = { HEADRACE_WEBHOOK_PORTS: ports };
      assert.throws(() => parseDispatcherConfig(env), /HEADRACE_WEBHOOK_PORTS/);
    }
  });
});
