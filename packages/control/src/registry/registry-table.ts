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

/** Writes return once durable and throw `state-unwritable` with nothing written. */
export interface RegistryTable {
  load(): { readonly registrations: readonly RegistrationRow[]; readonly ports: readonly PortRow[] };
  put(row: RegistrationRow): void;
  /** Only the registration with this token: false when there is another by now. */
  delete(instance: string, tokenHash: string, forgetPorts: boolean): boolean;
  /** Adds what is not allotted yet; returns rows that were, to another port. */
  addPorts(rows: readonly PortRow[]): readonly PortRow[];
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
    delete(instance, tokenHash, forgetPorts) {
      const present = registrations.get(instance);
      if (present !== undefined && present.tokenHash !== tokenHash) return false;
      registrations.delete(instance);
      if (forgetPorts) deletePorts(instance);
      return true;
    },
    addPorts: (rows) =>
      rows.flatMap((row) => {
        const present = ports.find((one) => isSameAllotment(one, row));
        if (present === undefined) ports.push(row);
        return present === undefined || present.localPort === row.localPort ? [] : [present];
      }),
    deletePorts,
  };
}

function isSameAllotment(one: PortRow, other: PortRow): boolean {
  return one.instance === other.instance && one.service === other.service && one.port === other.port;
}

export function sqliteRegistryTable(file: StateFile): RegistryTable {
  const { database } = file;
  const put = database.prepare('INSERT OR REPLACE INTO registration VALUES (?, ?, ?, ?, ?, ?)');
  const remove = database.prepare('DELETE FROM registration WHERE instance = ? AND token_hash = ?');
  const isThere = database.prepare('SELECT 1 FROM registration WHERE instance = ?');
  const addPort = database.prepare('INSERT OR IGNORE INTO outbound_port VALUES (?, ?, ?, ?)');
  const portOf = database.prepare<{ local_port: number }, [string, string, number]>(
    'SELECT local_port FROM outbound_port WHERE instance = ? AND hostname = ? AND port = ?',
  );
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
    delete(instance, tokenHash, forgetPorts) {
      let isAnother = false;
      file.transact(() => {
        remove.run(instance, tokenHash);
        isAnother = isThere.get(instance) !== null;
        if (forgetPorts && !isAnother) removePorts.run(instance);
      });
      return !isAnother;
    },
    addPorts(rows) {
      const standing: PortRow[] = [];
      file.transact(() => {
        for (const row of rows) {
          const { instance, service, port } = row;
          addPort.run(instance, service, port, row.localPort);
          const localPort = portOf.get(instance, service, port)?.local_port ?? row.localPort;
          if (localPort !== row.localPort) standing.push({ ...row, localPort });
        }
      });
      return standing;
    },
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
