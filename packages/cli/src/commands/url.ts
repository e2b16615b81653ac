/** `sluice url WORKLOAD`: where a workload is reached through its sidecar, for scripts: `curl "$(sluice url shop)"`. */
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { connect } from './connect.ts';
import { findInstance } from './find-instance.ts';

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const [word, portName] = args.positional;
  if (word === undefined) throw cliError('usage', 'say whose: url WORKLOAD [PORT]');
  const { registration } = await findInstance(connect(context).client, word, args.text('namespace'));
  const { ports, address, name } = registration;
  const port =
    portName === undefined
      ? ports[0]
      : ports.find((one) => one.name === portName || String(one.appPort) === portName);
  if (port === undefined) {
    const known = ports.map((one) => one.name).join(', ');
    throw cliError(
      'usage',
      `${name} has no port${portName === undefined ? '' : ` "${portName}": there are ${known}`}`,
    );
  }
  const target = `${address}:${args.has('direct') ? port.appPort : port.inboundPort}`;
  out.write(`${/^(?:http|grpc)/.test(port.name) ? `http://${target}` : target}\n`);
  return exitStatus.done;
}
