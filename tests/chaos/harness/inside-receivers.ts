/** URLs that reach inside by themselves; PORT stands for the port of the trap. */
export const INSIDE_URLS = [
  // Loopback, in the forms that a URL parser takes for an IPv4 address.
  ...['127.0.0.1', '127.0.0.2', '127.255.255.254', '127.1', '127.0.1', '0', '0.0.0.0', '0x0'],
  ...['2130706433', '0x7f000001', '0x7F.1', '0x7f.0x0.0x0.0x1', '017700000001', '0177.0.0.1'],
  ...['00000177.0.0.1', '127.0.0.1.', '127.1.', '127.0.0.0x1', '%31%32%37.0.0.1', '127%2e0.0.1'],
  ...['１２７.０.０.１', '①②⑦.⓪.⓪.①', '127。0。0。1', '127．0．0．1', '127.0.0.1%00', '0.1'],
  // The other ranges of the registry, their first or last addresses.
  ...['10.0.0.1', '10.255.255.255', '012.0.0.1', '100.64.0.1', '100.127.255.255', '172.16.0.1'],
  ...['172.31.255.255', '192.168.0.1', '192.168.1.255', '0300.0250.0.1', '3232235521'],
  ...['169.254.0.1', '192.0.0.1', '192.0.0.10', '192.0.2.1', '192.31.196.1', '192.52.193.1'],
  ...['192.88.99.1', '192.175.48.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.9'],
  ...['224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255', '4294967295'],
  // Metadata and other services of clouds.
  ...['169.254.169.254', '0xa9fea9fe', '2852039166', '0251.0376.0251.0376', '169.254.170.2'],
  ...['169.254.169.123', '169.254.169.253', '168.63.129.16', '0xa83f8110', '100.100.100.200'],
  ...['192.0.0.192', '[fd00:ec2::254]', '[fd20:ce::254]', '[fe80::a9fe:a9fe]'],
  ...['metadata.google.internal', 'METADATA.GOOGLE.INTERNAL.', 'instance-data.ec2.internal'],
  // IPv6: loopback, unspecified, and IPv4 within it.
  ...['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '[::]', '[::ffff:127.0.0.1]', '[::127.0.0.1]'],
  ...['[::ffff:7f00:1]', '[0:0:0:0:0:ffff:127.0.0.1]', '[::ffff:169.254.169.254]'],
  ...['[::ffff:0:127.0.0.1]', '[::ffff:8.8.8.8]', '[64:ff9b::127.0.0.1]', '[64:ff9b::a9fe:a9fe]'],
  ...['[64:ff9b:1::127.0.0.1]', '[64:ff9b:1:ffff::1]', '[2002:7f00:1::]', '[2002:a9fe:a9fe::1]'],
  ...['[2001::1]', '[2001:0:7f00:1::]', '[2001:0:4136:e378:8000:63bf:80ff:fffe]'],
  // IPv6: local, multicast, documentation, and what is not assigned.
  ...['[fe80::1]', '[febf::1]', '[fec0::1]', '[fc00::1]', '[fd12:3456:789a::1]', '[ff02::1]'],
  ...['[ff0e::1]', '[2001:2::1]', '[2001:10::1]', '[2001:20::1]', '[2001:db8::1]', '[3fff::1]'],
  ...['[3ffe::1]', '[2620:4f:8000::1]', '[100::1]', '[5f00::1]', '[4000::1]', '[1fff::1]'],
  ...['[fe80::1%25lo]', '[::1%25lo]'],
  // Names that mean the machine or its network.
  ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'localhost.localdomain', 'ｌocalhost'],
  ...['printer.local', 'db.internal', 'router.home.arpa', 'hidden.onion', 'localhost%00.example'],
  // Who is the host, and who the user?
  ...['user:secret@example.com', 'example.com@127.0.0.1', 'example.com:80@127.0.0.1'],
].map((host) => `http://${host}:PORT/`);

/** Not reached through http, or not at a port of receivers. */
export const REFUSED_URLS = [
  ...['file:///etc/passwd', 'gopher://127.0.0.1:PORT/_PING', 'ftp://127.0.0.1:PORT/', 'data:,a'],
  ...['ws://127.0.0.1:PORT/', 'redis://127.0.0.1:PORT/', 'javascript:alert(1)', 'blob:http://a/'],
  ...['http://example.com:22/', 'http://example.com:6379/', 'https://example.com:8443/'],
  ...['http:127.0.0.1:PORT/', 'http:/\\127.0.0.1:PORT/', 'http://example.com\\@127.0.0.1:PORT/'],
  ...['//127.0.0.1:PORT/', '', ' http://127.0.0.1:PORT/', 'http://', 'http://127.0.0.1:99999/'],
  ...['https://127.0.0.1:PORT/', 'http://127.0.0.1:PORT#@example.com/'],
  ...['http:///127.0.0.1:PORT/', 'HTTP://127.0.0.1:PORT/', 'ht\ntp://127.0.0.1:PORT/'],
];

const OUTSIDE_V4 = '93.184.215.14';
const OUTSIDE_V6 = '2606:2800:21f:cb07:6820:80da:af6b:8b2c';

/** What names may resolve to; each must be refused, whatever stands beside the inside address. */
export const INSIDE_ANSWERS: string[][] = [
  ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '10.1.2.3', '172.20.0.1', '192.168.0.9', '100.64.9.9'],
  ...['169.254.169.254', '168.63.129.16', '100.100.100.200', '224.0.0.251', '255.255.255.255'],
  ...['::1', '::', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '64:ff9b::7f00:1'],
  ...['64:ff9b:1::1', '2002:7f00:1::', '2001:0:7f00:1::', 'fd00:ec2::254', 'fe80::1', 'fe80::1%lo'],
  ...['ff02::1', '2001:db8::1', '3fff::1', '127.1', '0x7f000001', 'localhost', ''],
]
  .map((address) => [address])
  .concat([
    [OUTSIDE_V4, '127.0.0.1'],
    ['127.0.0.1', OUTSIDE_V4],
    [OUTSIDE_V4, '::1'],
    [OUTSIDE_V6, '127.0.0.1'],
    [OUTSIDE_V6, OUTSIDE_V4, 'fe80::1'],
  ]);

/** Statuses and targets of answers that would lead on. */
export const REDIRECTS = [301, 302, 303, 307, 308].flatMap((status) =>
  ['http://127.0.0.1:PORT/', 'http://[::1]:PORT/', '//127.0.0.1:PORT/'].map((location) => ({
    status,
    location,
  })),
);

export const withPort = (text: string, port: number) => text.replaceAll('PORT', String(port));
