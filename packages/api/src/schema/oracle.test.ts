/** What we accept of Istio's kinds, the models generated from Istio's own definitions accept too, and the reverse. */
import * as istio from '@kubernetes-models/istio/networking.istio.io/v1';
import { describe, expect, test } from 'bun:test';
import { formatProblem, hasErrors } from '../problem.ts';
import { readObjects } from '../read.ts';
import { validObjects } from '../validate/valid-objects.ts';

type Model = new (data: never) => { validate(): void };
const models = istio as unknown as Readonly<Record<string, Model | undefined>>;

function oracleAccepts(kind: string, object: object): boolean {
  const Model = models[kind];
  if (Model === undefined) throw new Error(`the oracle has no ${kind}`);
  try {
    new Model({ ...object, apiVersion: 'networking.istio.io/v1' } as never).validate();
    return true;
  } catch {
    return false;
  }
}

const istioTexts = validObjects.filter((text) => text.includes('networking.istio.io/'));

describe('the oracle agrees', () => {
  test.each(istioTexts)('%s', (text) => {
    const { objects, problems } = readObjects(text, 'f');
    expect(problems.map(formatProblem)).toEqual([]);
    const object = objects[0]!.object;
    expect(oracleAccepts(object.kind, object)).toBe(true);
  });

  const changes: readonly (readonly [string, string, string])[] = [
    ['VirtualService', 'http as an object', '{hosts: [a], http: {}}'],
    [
      'VirtualService',
      'a string for a number',
      '{hosts: [a], http: [{route: [{destination: {host: a}, weight: "1"}]}]}',
    ],
    ['DestinationRule', 'no host', '{subsets: []}'],
    ['DestinationRule', 'an unknown balancer', '{host: a, trafficPolicy: {loadBalancer: {simple: FASTEST}}}'],
    ['ServiceEntry', 'no hosts', '{resolution: DNS}'],
    ['ServiceEntry', 'an unknown resolution', '{hosts: [a.b], resolution: MAGIC}'],
    ['Sidecar', 'egress without hosts', '{egress: [{}]}'],
    ['Gateway', 'a server without port', '{servers: [{hosts: ["*"]}]}'],
    ['WorkloadEntry', 'a list of labels', '{address: 1.1.1.1, labels: [a]}'],
    ['WorkloadGroup', 'no template', '{metadata: {}}'],
  ];

  test.each(changes)('%s: %s is refused by both', (kind, _, spec) => {
    const text = `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: a}\nspec: ${spec}\n`;
    const { objects, problems } = readObjects(text, 'f');
    expect(hasErrors(problems)).toBe(true);
    expect(oracleAccepts(kind, objects[0]!.object)).toBe(false);
  });
});
