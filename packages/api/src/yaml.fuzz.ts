/** Fuzz target: no bytes make reading throw or run away, and what comes out is plain and placed. */
import { readObjects } from './read.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const texts = [
  'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: a\nspec:\n  hosts: [a]\n  http:\n  - route:\n    - destination: {host: a}\n',
  '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}}]}',
  'a: &a [x, *a]\nb: {<<: *a}\n---\n"c": |\n  text\n---\n? [k]\n: v\n',
  '%YAML 1.2\n---\n!!map {__proto__: 1}\n...\n',
];

const target = {
  name: 'yaml',
  seeds: (): Uint8Array[] => texts.map((text) => encoder.encode(text)),
  run(bytes: Uint8Array): void {
    const { objects, problems } = readObjects(decoder.decode(bytes), 'fuzz.yaml', { maxLength: 65_536 });
    for (const problem of problems) {
      if (problem.line === undefined || problem.line < 1)
        throw new Error(`a problem without place: ${problem.code}`);
    }
    for (const { object } of objects) JSON.stringify(object);
  },
};

export default target;
