/** `sluice dashboard`: a link to the mesh's page that lets one browser in, once. */
import type { CommandContext } from '../context.ts';
import { exitStatus } from '../errors.ts';
import { connect } from './connect.ts';

export async function run(context: CommandContext): Promise<number> {
  const { link } = await connect(context).client.post<{ link: string }>('/sluice/v1/login-link', {});
  context.out.write(`${link}\n`);
  return exitStatus.done;
}
