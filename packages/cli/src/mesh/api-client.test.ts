import { afterEach, expect, test } from 'bun:test';
import { cleanUp, onCleanUp } from '@sluice/testkit';
import { ApiClient } from './api-client.ts';

afterEach(cleanUp);

test('a control plane that does not take the token is named: it may be that of another mesh', async () => {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ url }) =>
      url.endsWith('/secret')
        ? Response.json({ message: 'not for you' }, { status: 403 })
        : Response.json({ message: 'the token is another' }, { status: 401 }),
  });
  onCleanUp(() => server.stop(true));
  const apiUrl = `http://127.0.0.1:${server.port}`;
  const client = new ApiClient({ apiUrl, token: 't' });
  await expect(client.get('/version')).rejects.toThrow(`${apiUrl} says: the token is another`);
  await expect(client.get('/secret')).rejects.toThrow(/^not for you$/);
});

test('a control plane that hangs, one that is being started again and one that is not there are told apart', async () => {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Promise<Response>(() => {}) });
  const apiUrl = `http://127.0.0.1:${server.port}`;
  const client = new ApiClient({ apiUrl, token: 't' });
  await expect(client.get('/', { timeoutMs: 20 })).rejects.toThrow(/has not answered for 0.02 s: it hangs/);
  await server.stop(true);
  await expect(client.get('/')).rejects.toThrow(/is the mesh running/);
  const record = {
    name: 'm',
    dir: '/m',
    stateDir: '/m/.sluice',
    process: { pid: 7, startedAt: '' },
    api: '',
    xds: '',
    secure: '',
    metrics: '',
    startedAt: '',
  };
  await expect(new ApiClient({ apiUrl, token: 't', record }).get('/')).rejects.toThrow(
    /is down, and "sluice up" \(process 7\) is there to start it again/,
  );
});
