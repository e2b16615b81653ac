/** Fuzz target: bytes from a control plane. Whatever they are, decoding ends, in a message or an XdsDecodeError. */
import {
  BootstrapTable,
  ClusterTable,
  DeltaDiscoveryResponseTable,
  ListenerTable,
  registry,
} from '../gen/tables.ts';
import { MessageGenerator } from '../testing/random-message.ts';
import { decodeMessage } from './decode.ts';
import { encodeMessage } from './encode.ts';
import { XdsDecodeError } from './error.ts';
import { UnhonouredReport } from './report.ts';

const tables = [
  ListenerTable,
  ClusterTable,
  BootstrapTable,
  DeltaDiscoveryResponseTable,
  registry.message('RouteConfiguration'),
];

export default {
  name: 'xds-decode',
  seeds(): Uint8Array[] {
    return tables.map((table, index) =>
      encodeMessage<object>(table, new MessageGenerator(index).message(table)),
    );
  },
  run(bytes: Uint8Array): void {
    for (const table of tables) {
      try {
        const message = decodeMessage<object>(table, bytes, new UnhonouredReport());
        // What was accepted can be written, and means the same when read again.
        const again = decodeMessage<object>(table, encodeMessage<object>(table, message));
        if (encodeMessage<object>(table, again).length !== encodeMessage<object>(table, message).length) {
          throw new Error(`${table.typeName} changed by being written and read`);
        }
      } catch (error) {
        if (!(error instanceof XdsDecodeError)) throw error;
      }
    }
  },
};
