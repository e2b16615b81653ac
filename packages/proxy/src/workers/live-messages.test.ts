import { expect, test } from 'bun:test';
import {
  ClusterTable,
  createMessage,
  ListenerTable,
  RouteConfigurationTable,
  SecretTable,
} from '@sluice/xds';
import type { ToLoop } from '../data-loop.ts';
import { LiveMessages } from './live-messages.ts';

test('a new loop gets secrets before what names them, and none that were taken away', () => {
  const live = new LiveMessages();
  const secret = (name: string): ToLoop => ({
    kind: 'putSecret',
    name,
    version: '1',
    secret: createMessage(SecretTable, { name }),
  });
  const messages: ToLoop[] = [
    { kind: 'putListener', version: '1', listener: createMessage(ListenerTable, { name: 'l' }) },
    {
      kind: 'putRoutes',
      version: '1',
      part: 0,
      isLast: true,
      routes: createMessage(RouteConfigurationTable, { name: 'r' }),
    },
    { kind: 'putCluster', version: '1', cluster: createMessage(ClusterTable, { name: 'c' }), limitsSlot: 0 },
    secret('gone'),
    secret('default'),
    { kind: 'removeSecret', name: 'gone' },
    { ...secret('default'), version: '2' } as ToLoop,
  ];
  for (const message of messages) live.remember(message);
  expect([...live.inOrder()].map((message) => message.kind)).toEqual([
    'putSecret',
    'putCluster',
    'putRoutes',
    'putListener',
  ]);
  expect([...live.inOrder()][0]).toMatchObject({ name: 'default', version: '2' });
});
