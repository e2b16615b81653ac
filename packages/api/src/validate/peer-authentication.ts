/** PeerAuthentication: modes by port need the workloads whose ports they are. */
import type { PeerAuthentication } from '../resource-types.ts';
import type { Findings } from './findings.ts';
import { checkLabels } from './metadata.ts';

export function checkPeerAuthentication(object: PeerAuthentication, findings: Findings): void {
  const { selector, portLevelMtls } = object.spec ?? {};
  const labels = selector?.matchLabels;
  const labelsPath = ['spec', 'selector', 'matchLabels'];
  checkLabels(labels, labelsPath, findings);
  const path = ['spec', 'portLevelMtls'];
  findings.check(portLevelMtls, path, (ports) => {
    const numbers = Object.keys(ports);
    if (numbers.length === 0) findings.add('required', path, 'needs at least one port', { part: 'key' });
    else if (labels === undefined || Object.keys(labels).length === 0) {
      findings.add('conflicting-fields', path, 'needs a selector: ports are those of workloads', {
        suggestion: 'add spec.selector.matchLabels',
        part: 'key',
      });
    }
    for (const number of numbers) {
      if (!/^[1-9]\d{0,4}$/.test(number) || Number(number) > 65_535)
        findings.add('invalid-value', [...path, number], 'must be a port number from 1 to 65535', {
          part: 'key',
        });
    }
  });
}
