/**
 * Why a control plane does not start, or does not take a write: by code, for docs/errors.md and for whoever
 * branches on it. Refusals of API requests are Kubernetes `Status` bodies and live in serve/api/status-body.ts.
 */
import { defineErrors, MeshError, type CodeOf } from '@sluice/runtime';

export const controlErrors = defineErrors('control', [
  {
    code: 'state-unwritable',
    httpStatus: 507,
    meaning:
      'The state could not be written: the disk is full, the state directory is read-only or gone, or the file is damaged. Reads, xDS and traffic go on; what becomes of instances holds in memory.',
    action:
      'Do what the message says: free some space, make the directory writable, or stop the mesh and restore a backup with `sluice restore`. What was refused may be sent again; what the control plane itself writes is made good.',
  },
  {
    code: 'state-in-use',
    meaning: 'Another control plane has the state directory.',
    action: 'Stop that one, or give this one its own with `--state-dir`.',
  },
  {
    code: 'state-missing',
    meaning: 'There is no state, or no backup, where one was named.',
    action: 'Check the path.',
  },
  {
    code: 'state-foreign',
    meaning: 'The file is not a state file of sluice.',
    action:
      'Check the path; a state file is named state.db and is made by `sluice control` or `sluice backup`.',
  },
  {
    code: 'state-newer',
    meaning: 'The state was written by a newer version.',
    action: 'Start that version, or restore a backup made before the upgrade.',
  },
  {
    code: 'state-damaged',
    meaning: 'The state file cannot be read.',
    action: 'Restore a backup with `sluice restore`.',
  },
  {
    code: 'backup-exists',
    meaning: 'The file that a backup would be written to exists already.',
    action: 'Name another file, or move that one away.',
  },
  {
    code: 'authority-damaged',
    meaning: 'A root, an intermediate or a key of the authority in the state cannot be read.',
    action: 'Restore a backup with `sluice restore`.',
  },
  {
    code: 'authority-invalid',
    meaning:
      'The authority that the operator brings cannot be used: a part is missing, or the parts do not fit.',
    action:
      'Correct what the message names: ca-cert.pem and its ca-key.pem, root-cert.pem, and cert-chain.pem from the one to the other.',
  },
  {
    code: 'identity-invalid',
    meaning: 'A setting of who may ask for certificates cannot be used.',
    action: 'Correct the flag that the message names.',
  },
  {
    code: 'address-invalid',
    meaning: 'A listening address is not one, or not one of this machine.',
    action: 'Write HOST:PORT with an address of this machine, such as 127.0.0.1:15080.',
  },
  {
    code: 'address-taken',
    meaning: 'A port that the control plane listens on is in use.',
    action: 'Stop what uses it, or choose another with the flag that the message names.',
  },
  {
    code: 'address-denied',
    meaning: 'This user may not open the port.',
    action: 'Choose a port from 1024 up.',
  },
  {
    code: 'address-not-protected',
    meaning:
      'The address can be reached from other machines, and what is served there is not protected by TLS.',
    action: 'Use an address of loopback.',
  },
  {
    code: 'resources-missing',
    meaning: 'A folder or file of resources is not there at the start.',
    action: 'Create it, or name another with `--resources`.',
  },
  {
    code: 'mesh-config-invalid',
    meaning: 'The mesh settings cannot be used at the start.',
    action:
      'Correct what the message lists, each with its line; once running, a broken edit keeps the last good settings.',
  },
]);

export type ControlErrorCode = CodeOf<typeof controlErrors>;

/** A failure of this machine (disk, ports, files), with words for the operator. */
export function localError(
  code: ControlErrorCode,
  message: string,
  cause?: unknown,
): MeshError<ControlErrorCode> {
  return controlErrors.error(
    code,
    cause === undefined ? { source: 'local', message } : { source: 'local', message, cause },
  );
}

export function hasErrorCode(error: unknown, code: ControlErrorCode): error is MeshError<ControlErrorCode> {
  return error instanceof MeshError && error.code === code;
}

/** Any of this package's errors: their message is meant for the operator and needs no stack. */
export function isControlError(error: unknown): error is MeshError<ControlErrorCode> {
  return error instanceof MeshError && controlErrors.has(error.code);
}
