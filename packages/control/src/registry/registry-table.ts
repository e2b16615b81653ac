/**
 * What the registry remembers across restarts: registrations, health, token hashes and allotted ports. Renewals
 * are not in it: after a restart every lease begins anew, so that writing them would say nothing.
 */
import type { Registration } from '@sluice/api';
import type { StateFile } from '../source/state-file.ts';

export interface RegistrationRow {
  readonly instance: string;
  readonly registration: Registration;
  readonly tokenHash: string;
  readonly registeredWallMs: number;
  readonly isHealthy: boolean;
  readonly healthMessage: string;
}

export interface PortRow {
  readonly instance: string;
  /** Service key, or the name of another allotment. */
  readonly service: string;
  readonly port: number;
  readonly localPort: number;
}

/** Writes return once durable and throw `storage-full` with nothing written. */
export interface RegistryTable {
  load(): { readonly registrations: readonly RegistrationRow[]; readonly ports: readonly PortRow[] };
  put(row: RegistrationRow): void;
  delete(instance: string, forgetPorts: boolean): void;
  addPorts(rows: readonly PortRow[]): void;
  deletePorts(instance: string): void;
}

export function memoryRegistryTable(): RegistryTable {
  const registrations = new Map<string, RegistrationRow>();
  let ports: PortRow[] = [];
  const deletePorts = (instance: string): void => {
    ports = ports.filter((row) => row.instance !== instance);
  };
  return {
    load: () => ({ registrations: [...registrations.values()], ports }),
    put: (row) => void registrations.set(row.instance, row),
    delete(instance, forgetPorts) {
      registrations.delete(instance);
      if (forgetPorts) deletePorts(instance);
    },
    addPorts: (rows) => void ports.push(...rows),
    deletePorts,
  };
}

export function sqliteRegistryTable(file: StateFile): RegistryTable {
  const { database } = file;
  const put = database.prepare('INSERT OR REPLACE INTO registration VALUES (?, ?, ?, ?, ?, ?)');
  const remove = database.prepare('DELETE FROM registration WHERE instance = ?');
  const addPort = database.prepare('INSERT OR REPLACE INTO outbound_port VALUES (?, ?, ?, ?)');
  const removePorts = database.prepare('DELETE FROM outbound_port WHERE instance = ?');
  return {
    load: () => ({
      registrations: database.query<SqlRegistration, []>('SELECT * FROM registration').all().map(fromRow),
      ports: database
        .query<SqlPort, []>('SELECT * FROM outbound_port')
        .all()
        .map(({ instance, hostname, port, local_port }) => ({
          instance,
          service: hostname,
          port,
          localPort: local_port,
        })),
    }),
    put: (row) =>
      file.transact(() => {
        const { instance, registration, tokenHash, registeredWallMs, isHealthy, healthMessage } = row;
        const content = JSON.stringify(registration);
        put.run(instance, content, tokenHash, Math.round(registeredWallMs), isHealthy ? 1 : 0, healthMessage);
      }),
    delete: (instance, forgetPorts) =>
      file.transact(() => {
        remove.run(instance);
        if (forgetPorts) removePorts.run(instance);
      }),
    addPorts: (rows) =>
      file.transact(() => {
        for (const row of rows) addPort.run(row.instance, row.service, row.port, row.localPort);
      }),
    deletePorts: (instance) => file.transact(() => void removePorts.run(instance)),
  };
}

interface SqlRegistration {
  readonly instance: string;
  readonly content: string;
  readonly token_hash: string;
  readonly registered_wall_ms: number;
  readonly is_healthy: number;
  readonly health_message: string;
}

interface SqlPort {
  readonly instance: string;
  readonly hostname: string;
  readonly port: number;
  readonly local_port: number;
}

function fromRow(row: SqlRegistration): RegistrationRow {
  return {
    instance: row.instance,
    registration: JSON.parse(row.content) as Registration,
    tokenHash: row.token_hash,
    registeredWallMs: row.registered_wall_ms,
    isHealthy: row.is_healthy === 1,
    healthMessage: row.health_message,
  };
}
