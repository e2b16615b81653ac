/** All sections, in the order in which they run. */
import type { Section } from './section.ts';
import { answerSections } from './sections/answers.ts';
import { domainSections } from './sections/domains.ts';
import { failureSections } from './sections/failures.ts';
import { grpcSections } from './sections/grpc.ts';
import { matchingSections } from './sections/matching.ts';
import { protocolSections } from './sections/protocol.ts';
import { rewriteSections } from './sections/rewrites.ts';
import { trustedSections } from './sections/trust.ts';

export const grid: readonly Section[] = [
  ...domainSections,
  ...matchingSections,
  ...answerSections,
  ...rewriteSections,
  ...trustedSections,
  ...protocolSections,
  ...failureSections,
  ...grpcSections,
];
