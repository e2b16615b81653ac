/**
 * Request bodies: bounded in size and in time, then parsed as JSON or YAML by the one parser that decides.
 * A client that sends a byte now and then must not hold a request open for ever.
 */
import { measure, parseYaml, PatchError, type Json } from '@sluice/api';
import { ApiError } from './api/status-body.ts';

/** Kubernetes' own limit for a request body. */
export const maxBodyBytes = 3 * 1024 * 1024;
const bodyTimeoutMs = 20_000;

/** The whole body as text. Throws ApiError 413 when it is too large, 408 when it does not arrive in time. */
export async function readBody(
  request: Request,
  limits = { maxBytes: maxBodyBytes, timeoutMs: bodyTimeoutMs },
): Promise<string> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > limits.maxBytes) throw tooLarge(limits.maxBytes);
  if (request.body === null) return '';
  const reader = request.body.getReader();
  const timeout = setTimeout(() => void reader.cancel('timeout').catch(() => {}), limits.timeoutMs);
  const startMs = performance.now();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      size += read.value.byteLength;
      if (size > limits.maxBytes) throw tooLarge(limits.maxBytes);
      chunks.push(read.value);
    }
  } finally {
    clearTimeout(timeout);
  }
  if (performance.now() - startMs >= limits.timeoutMs) {
    throw new ApiError(408, `the request body did not arrive within ${limits.timeoutMs / 1000} s`);
  }
  return decodeUtf8(Buffer.concat(chunks));
}

/**
 * One value from a JSON or YAML body; undefined for an empty one. Throws ApiError 400 with the place of what is
 * wrong. JSON goes through the YAML parser too, which finds repeated keys; large JSON does not, because that
 * parser would hold up the control plane for seconds.
 */
export function parseBody(text: string, contentType: string): unknown {
  if (text.trim() === '') return undefined;
  const isJson = !/yaml/i.test(contentType);
  const isPatchList = isJson && /^\s*\[/.test(text);
  return isPatchList || (isJson && text.length > maxCarefulLength) ? parseJson(text) : parseOneDocument(text);
}

/** Characters of JSON that are checked for repeated keys. */
const maxCarefulLength = 256 * 1024;

function parseOneDocument(text: string): unknown {
  const { documents, problems } = parseYaml(text, 'request body');
  const error = problems.find((problem) => problem.severity === 'error');
  if (error !== undefined) {
    throw new ApiError(
      400,
      `request body, line ${error.line ?? 1}, column ${error.column ?? 1}: ${error.message}`,
    );
  }
  const [document, ...more] = documents;
  if (document === undefined || more.length > 0) {
    throw new ApiError(400, `the request body holds ${documents.length} objects instead of one`);
  }
  return document.value;
}

/** Keeps the limits of the other parser: depth, number of values, no key that reaches a prototype. */
function parseJson(text: string): unknown {
  try {
    const value = JSON.parse(text) as Json;
    measure(value);
    return value;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof PatchError) {
      throw new ApiError(400, `request body: ${error.message}`);
    }
    throw error;
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, 'the request body is not UTF-8');
  }
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, `the request body is larger than ${maxBytes} bytes`);
}
