/** Automatic mutual TLS in a mesh of real processes: by default, in every mode, and against what must be refused. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, waitFor } from '@sluice/testkit';
import { exchange, MtlsMesh } from './mtls-fixture.ts';
import { Pki } from './tls-fixture.ts';

const timeoutMs = 90_000;
const policy = (name: string, spec: string, namespace = 'default'): string =>
  `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
const rule = (host: string, tls: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ${host}}\nspec: {host: ${host}, trafficPolicy: {tls: ${tls}}}\n`;

afterAll(cleanUp, timeoutMs);

describe.if(process.platform === 'linux')('a mesh', () => {
  let mtls: MtlsMesh;
  let apiPort = 0;
  let bytesPort = 0;
  const api = 'http://api.default.svc.cluster.local:8089/';

  beforeAll(async () => {
    mtls = await MtlsMesh.start();
    apiPort = Number(new URL(await mtls.mesh.url('api')).port);
    bytesPort = Number((await mtls.mesh.url('bytes')).split(':')[1]);
  }, timeoutMs);

  /** Waits until a call gives what it should: configuration takes a moment to arrive. */
  async function callUntil(
    isRight: (body: string, status: number) => boolean,
    what: string,
  ): Promise<string> {
    const found = await waitFor(
      async () => {
        const { body, status } = await mtls.call(api);
        return isRight(body, status) ? [body] : undefined;
      },
      { what },
    );
    return found[0] ?? '';
  }

  async function edges(): Promise<{ code: number; out: string }> {
    return mtls.mesh.cli('status', 'web', '--edges');
  }

  test(
    'is in mutual TLS by default, and the server knows who calls',
    async () => {
      const { status, body } = await mtls.call(api);
      expect(status).toBe(200);
      expect(body).toMatch(
        /^By=spiffe:\/\/cluster\.local\/ns\/default\/sa\/api;Hash=[0-9a-f]{64};Subject="[^"]*";URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/web$/,
      );
      const { code, out } = await edges();
      expect(code).toBe(0);
      expect(out).toMatch(
        /web\.default +api\.default\.svc\.cluster\.local:8089 +mutual TLS +\d+ +PERMISSIVE is the default/,
      );
    },
    timeoutMs,
  );

  test(
    'PERMISSIVE takes mutual TLS, plaintext and the application’s own TLS on one port',
    async () => {
      const plain = await fetch(`http://127.0.0.1:${apiPort}/`);
      expect(await plain.text()).toBe('no certificate');
      expect(await exchange(bytesPort, 'hello')).toBe(`first byte ${'h'.charCodeAt(0)}`);
      expect(await mtls.connect('BYTES')).toBe(`first byte ${'h'.charCodeAt(0)}`);
      // A ClientHello without a sidecar's protocols passes unread: the application sees its first byte, 22.
      expect(await exchange(bytesPort, clientHello())).toBe('first byte 22');
    },
    timeoutMs,
  );

  test(
    'STRICT refuses plaintext and strangers, says why, and lets the mesh go on',
    async () => {
      const undo = await mtls.apply(
        policy('default', '{mtls: {mode: STRICT}}', 'istio-system') +
          `---\n${policy('web', '{selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}}')}`,
      );
      await waitFor(
        async () =>
          (await exchange(apiPort, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')) === 'reset' ? true : undefined,
        {
          what: 'plaintext to be refused',
        },
      );
      expect(await exchange(bytesPort, 'hello')).not.toContain('first byte');
      expect(await mtls.connect('BYTES')).toBe(`first byte ${'h'.charCodeAt(0)}`);
      const { status, body } = await mtls.call(api);
      expect(status).toBe(200);
      expect(body).toContain('URI=spiffe://cluster.local/ns/default/sa/web');

      const log = join(mtls.mesh.stateDir, 'logs/proxies/api.log');
      await waitFor(() => (readFileSync(log, 'utf8').includes('filter_chain_not_found') ? true : undefined), {
        what: 'the sidecar to log why',
      });

      expect((await edges()).out).toMatch(
        new RegExp(`refused: api\\.default closed \\d+ plaintext connections? to port ${apiPort} `),
      );

      const pki = new Pki();
      const stranger = pki.files('stranger', pki.authority.leaf({ account: 'web' }));
      for (const certificate of [[], ['-cert', stranger.chain, '-key', stranger.key]]) {
        const said = execFileSync('bash', [
          '-c',
          `printf 'GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n' | timeout 5 openssl s_client -connect 127.0.0.1:${apiPort} -quiet ${certificate.join(' ')} 2>&1 || true`,
        ]).toString();
        expect(said).not.toContain('HTTP/1.1');
      }

      const { out } = await edges();
      expect(out).toMatch(
        /mutual TLS +\d+ +security\.istio\.io\/PeerAuthentication\/istio-system\/default is STRICT/,
      );
      await undo();
    },
    timeoutMs,
  );

  test(
    'a client that sends plaintext to STRICT gets a reply, and the edge is refused by name',
    async () => {
      const undo = await mtls.apply(
        `${policy('api', '{selector: {matchLabels: {app: api}}, mtls: {mode: STRICT}}')}---\n${rule('api', '{mode: DISABLE}')}`,
      );
      await waitFor(async () => ((await mtls.call(api)).status === 503 ? true : undefined), {
        what: 'a refusal',
      });
      const { reason } = await mtls.call(api);
      expect(reason).not.toBe('');
      const { code, out } = await edges();
      expect(code).toBe(1);
      expect(out).toContain(
        'networking.istio.io/DestinationRule/default/api says DISABLE, but security.istio.io/PeerAuthentication/default/api is STRICT',
      );
      await undo();
      await callUntil((_, status) => status === 200, 'the mesh to recover');
    },
    timeoutMs,
  );

  test(
    'DISABLE on a workload is plaintext, for clients too',
    async () => {
      const undo = await mtls.apply(
        policy('api', '{selector: {matchLabels: {app: api}}, mtls: {mode: DISABLE}}'),
      );
      await callUntil((body) => body === 'no certificate', 'plaintext');
      expect((await edges()).out).toMatch(
        /api\.default\.svc\.cluster\.local:8089 +plaintext .*PeerAuthentication\/default\/api is DISABLE/,
      );
      await undo();
      await callUntil((body) => body.startsWith('By='), 'mutual TLS');
    },
    timeoutMs,
  );

  test(
    'a mode for one port holds for that port of the application, and one for a port of nobody is told',
    async () => {
      const listeners = await mtls.mesh.out('proxy-config', 'listeners', 'api');
      const appPort = /Inline Route: inbound\|(\d+)\|/.exec(listeners)?.[1] ?? 'none';
      const select = 'selector: {matchLabels: {app: api}}';
      const undo = await mtls.apply(
        policy('api', `{${select}, mtls: {mode: STRICT}, portLevelMtls: {${appPort}: {mode: DISABLE}}}`),
      );
      await callUntil((body) => body === 'no certificate', 'plaintext');
      expect(await (await fetch(`http://127.0.0.1:${apiPort}/`)).text()).toBe('no certificate');
      await undo();
      const undoOther = await mtls.apply(
        policy('api', `{${select}, mtls: {mode: STRICT}, portLevelMtls: {8089: {mode: DISABLE}}}`),
      );
      await waitFor(
        async () => {
          const { out } = await mtls.mesh.cli('describe', 'peerauthentication', 'api');
          return out.includes('no application that it selects has port 8089') ? true : undefined;
        },
        { what: 'the port to be told' },
      );
      expect((await mtls.call(api)).body).toStartWith('By=');
      await undoOther();
    },
    timeoutMs,
  );
});

/** The bytes of a ClientHello without application protocols, made by Python's ssl. */
function clientHello(): Uint8Array {
  const script = [
    'import ssl, sys',
    'incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()',
    'client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="a.example.com")',
    'try: client.do_handshake()',
    'except ssl.SSLWantReadError: pass',
    'sys.stdout.write(outgoing.read().hex())',
  ].join('\n');
  return Uint8Array.fromHex(execFileSync('python3', ['-c', script]).toString());
}
