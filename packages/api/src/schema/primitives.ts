/**
 * Leaf types shared by the kinds. Messages are written for the person who wrote the YAML: they say what is
 * expected, never what a pattern looks like.
 */
import { z } from 'zod';
import { isGatewayDuration, parseDurationMs } from '../duration.ts';

export const text = z.string();
export const nonEmpty = z.string().min(1, 'must not be empty');
export const flag = z.boolean();
export const stringMap = z.record(z.string(), z.string());
export const textList = z.array(z.string());

/** Durations of Istio's kinds: Go syntax. */
export const duration = z.string().refine((value) => parseDurationMs(value) !== undefined, {
  error: 'must be a duration such as 10s, 250ms or 1h30m',
});

/** Durations of the Gateway API: GEP-2257. */
export const gatewayDuration = z.string().refine(isGatewayDuration, {
  error: 'must be a duration of whole h, m, s or ms with at most 5 digits each, such as 10s or 1m30s',
});

export const int32 = z.int().min(-2147483648).max(2147483647);
export const uint32 = z.int().min(0, 'must not be negative').max(4294967295);
export const nonNegative = z.int().min(0, 'must not be negative').max(2147483647);
export const positive = z.int().min(1, 'must be at least 1').max(2147483647);
export const port = z
  .int()
  .min(1, 'must be a port number from 1 to 65535')
  .max(65535, 'must be a port number from 1 to 65535');
export const percentValue = z.number().min(0, 'must be from 0 to 100').max(100, 'must be from 0 to 100');

/** A number or a name, as Kubernetes writes target ports and probe ports. */
export const intOrString = z.union([z.int(), z.string()]);

/** Content that is known by name and not looked into. */
export const opaque = z.record(z.string(), z.unknown());
export const opaqueList = z.array(z.record(z.string(), z.unknown()));
